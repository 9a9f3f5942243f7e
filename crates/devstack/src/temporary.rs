//! A folder that is removed when this process is gone, however it went, after the servers in it have stopped.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context;

/// Waits for the end of its input, then for the servers whose pid files stand in the folder, then removes the folder.
const CLEANER: &str = r#"
while read -r line; do :; done
for pid_file in "$1"/*.pid; do
  left=300
  while [ "$left" -gt 0 ] && [ -f "$pid_file" ] && kill -0 "$(cat "$pid_file")"; do
    sleep 0.1
    left=$((left - 1))
  done
done
rm -rf "$(readlink "$1/postgres" || echo "$1")" "$1"
"#;

#[derive(Debug)]
pub(crate) struct TemporaryFolder {
    path: PathBuf,
    cleaner: Child,
}

impl TemporaryFolder {
    pub(crate) fn new() -> anyhow::Result<TemporaryFolder> {
        let path = tempfile::Builder::new()
            .prefix("bookmesh-")
            .tempdir()
            .context("making a temporary folder")?
            .keep();
        // The account that runs Postgres must be able to enter.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711))?;
        let cleaner = Command::new("sh")
            .args(["-c", CLEANER, "cleaner"])
            .arg(&path)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting the cleaner of a temporary folder")?;
        Ok(TemporaryFolder { path, cleaner })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        drop(self.cleaner.stdin.take());
        // The cleaner ends by itself; there is nobody to tell about a failure.
        let _ = self.cleaner.wait();
    }
}
