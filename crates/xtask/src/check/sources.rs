//! The shape of the sources: short files and functions, a line on top that says what a file is for, a README per crate.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

use super::functions;

const LINES_OF_A_FILE: usize = 500;
const LINES_OF_MAIN: usize = 40;
const LINES_OF_A_FUNCTION: usize = 50;

const FOLDERS_OF_CRATES: [&str; 2] = [".", "crates"];
const FOLDERS_TO_SKIP: [&str; 3] = ["target", ".git", ".dev"];

pub(super) fn check() -> anyhow::Result<()> {
    let mut complaints = Vec::new();
    for folder in crates()? {
        if !folder.join("README.md").is_file() {
            complaints.push(format!("{}: no README.md", folder.display()));
        }
        for file in rust_files(&folder)? {
            let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            complaints.extend(complaints_about(&file, &text));
        }
    }
    for complaint in &complaints {
        println!("{complaint}");
    }
    ensure!(complaints.is_empty(), "{} places", complaints.len());
    Ok(())
}

fn complaints_about(file: &Path, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |what: String| complaints.push(format!("{}: {what}", file.display()));
    if !text.starts_with("//! ") {
        complain("does not begin with a line that says what it is for".to_owned());
    }
    if file.file_name().is_some_and(|name| name == "mod.rs") {
        complain("is named mod.rs; use `name.rs` beside `name/`".to_owned());
    }
    if text.lines().any(|line| line.trim_start().starts_with("#[ignore")) {
        complain("switches a test off".to_owned());
    }
    if is_test(file) {
        return complaints;
    }
    let production = without_tests(text);
    let lines = production.lines().count();
    let limit = if file.ends_with("src/main.rs") {
        LINES_OF_MAIN
    } else {
        LINES_OF_A_FILE
    };
    if lines > limit {
        complain(format!("{lines} lines, {limit} at most"));
    }
    for function in functions::longer_than(LINES_OF_A_FUNCTION, production) {
        complain(format!(
            "`{}` has {} lines, {LINES_OF_A_FUNCTION} at most",
            function.name, function.lines
        ));
    }
    complaints
}

fn is_test(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs")
}

/// Tests are the last thing in a file.
fn without_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod ").map_or(text, |start| &text[..start])
}

fn crates() -> anyhow::Result<Vec<PathBuf>> {
    let mut crates = Vec::new();
    for parent in FOLDERS_OF_CRATES {
        let folders = entries(Path::new(parent))?
            .into_iter()
            .filter(|path| path.join("Cargo.toml").is_file());
        crates.extend(folders.filter(|path| path.is_dir()));
    }
    Ok(crates)
}

fn rust_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            let skipped = FOLDERS_TO_SKIP.iter().any(|name| path.ends_with(name));
            if !skipped {
                files.extend(rust_files(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = folder
        .read_dir()
        .with_context(|| format!("reading {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}
