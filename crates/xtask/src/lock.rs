//! One `up` per data folder. The kernel gives the lock back when the process is gone, however it went.

use std::{
    env,
    fs::{self, File, TryLockError},
    io::Write,
    path::PathBuf,
    process,
};

use anyhow::Context;

/// Names another folder than `.dev`.
const FOLDER_VARIABLE: &str = "BOOKMESH_DATA";

/// Held while `up` runs.
pub(crate) struct UpLock {
    _file: File,
}

pub(crate) enum Taken {
    ByUs(UpLock),
    /// By the process with this id.
    ByAnother(u32),
}

/// Where `up` keeps its data.
#[expect(clippy::disallowed_methods, reason = "a command-line tool is told by variables")]
pub(crate) fn data_folder() -> anyhow::Result<PathBuf> {
    let folder = PathBuf::from(env::var_os(FOLDER_VARIABLE).unwrap_or_else(|| ".dev".into()));
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    folder
        .canonicalize()
        .with_context(|| format!("finding {}", folder.display()))
}

/// Takes the lock, or says who has it.
pub(crate) fn take(folder: &std::path::Path) -> anyhow::Result<Taken> {
    let path = folder.join("up.lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            write!(file, "{}", process::id())?;
            Ok(Taken::ByUs(UpLock { _file: file }))
        }
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path)?;
            Ok(Taken::ByAnother(
                holder.trim().parse().context("reading who holds the lock")?,
            ))
        }
        Err(TryLockError::Error(error)) => Err(error).context("locking"),
    }
}
