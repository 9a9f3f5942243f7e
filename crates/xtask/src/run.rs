//! Running other programs, and saying so.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

/// What is off by default, and checked and tested all the same.
pub(crate) const FEATURES: &str = "edge-gateway/kubernetes";

/// The folder of the workspace. Commands run there, wherever they were called.
pub(crate) fn workspace() -> &'static Path {
    let own_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    own_folder
        .ancestors()
        .nth(2)
        .expect("xtask is two folders below the workspace")
}

/// The `cargo` that runs us, so that a toolchain chosen on the command line is kept.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments);
    command
}

/// Builds binaries. They are chosen by name and not by package, so that what they stand on has the features of the whole
/// workspace and is not built once more for every choice.
pub(crate) fn build_of(binaries: impl IntoIterator<Item = &'static str>, profile: &str) -> Command {
    let mut build = cargo(&["build", "--profile", profile]);
    for binary in binaries {
        build.args(["--bin", binary]);
    }
    build
}

/// Where cargo puts what it builds, as told by where it has put us: `<target>/<profile>/xtask`.
pub(crate) fn target_folder() -> anyhow::Result<PathBuf> {
    let own_path = env::current_exe().context("finding our own binary")?;
    Ok(own_path
        .ancestors()
        .nth(2)
        .context("our own binary is in no target folder")?
        .to_owned())
}

/// Runs a command with its output on our terminal; an error when it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = shown(command);
    println!("$ {shown}");
    let status = command.status().with_context(|| format!("running `{shown}`"))?;
    ensure!(status.success(), "`{shown}` ended with {status}");
    Ok(())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
