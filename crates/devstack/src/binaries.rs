//! Where the servers' programs are: PATH first, then the folders in which packages hide them.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// Debian keeps initdb and postgres out of PATH; Homebrew does the same with versioned formulas.
const POSTGRES_PARENTS: [&str; 3] = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"];
const OTHER_FOLDERS: [&str; 4] = ["/usr/sbin", "/opt/homebrew/bin", "/opt/homebrew/sbin", "/usr/local/bin"];

/// The absolute path of a program, or an error that says how to get it.
pub(crate) fn find(program: &str) -> anyhow::Result<PathBuf> {
    search_path()
        .into_iter()
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .with_context(|| {
            format!("{program} is not installed; `make up` and `make test` install it, see crates/devstack")
        })
}

/// Whether we run as root. std does not tell it in another way without unsafe code.
pub(crate) fn we_are_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[expect(clippy::disallowed_methods, reason = "PATH is what says where programs are")]
fn search_path() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = env::var_os("PATH")
        .map(|path| env::split_paths(&path).collect())
        .unwrap_or_default();
    folders.extend(OTHER_FOLDERS.iter().map(PathBuf::from));
    folders.extend(
        POSTGRES_PARENTS
            .iter()
            .flat_map(|parent| postgres_folders(Path::new(parent))),
    );
    folders
}

/// `<parent>/*/bin` for every PostgreSQL under `parent`, newest first.
fn postgres_folders(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = parent.read_dir() else {
        return Vec::new();
    };
    let mut versions: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").is_file())
        .collect();
    versions.sort_by_key(|path| std::cmp::Reverse(version_of(path)));
    versions.into_iter().map(|version| version.join("bin")).collect()
}

fn version_of(folder: &Path) -> u32 {
    let digits: String = folder.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}
