//! Tools that checks need and a fresh machine lacks. Cargo's go into the target folder, in a fixed version.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context;

use crate::run;

/// A tool that comes as a crate.
pub(crate) struct CargoTool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

impl CargoTool {
    /// The tool, compiled the first time.
    pub(crate) fn command(&self) -> anyhow::Result<Command> {
        // The version is in the path, so that a new one is installed when we ask for it.
        let root = run::target_folder()?
            .join("tools")
            .join(format!("{}-{}", self.name, self.version));
        let binary = root.join("bin").join(self.name);
        if !binary.is_file() {
            self.install(&root)?;
        }
        Ok(Command::new(binary))
    }

    fn install(&self, root: &PathBuf) -> anyhow::Result<()> {
        println!(
            "installing {} {}; this takes some minutes, once",
            self.name, self.version
        );
        let mut install = run::cargo(&["install", "--locked", self.name, "--version", self.version, "--root"]);
        // What it compiles on the way is of no use to anybody, so it goes to a temporary folder.
        install.arg(root).env_remove("CARGO_TARGET_DIR");
        run::run(&mut install)
    }
}

/// A tool that comes as an npm package, at the version that `package` names.
pub(crate) fn npx(package: &str) -> anyhow::Result<Command> {
    devstack::install_program("npm")?;
    let mut command = Command::new("npx");
    command.args(["--yes", package]);
    Ok(command)
}

/// A virtual environment that has a package of PyPI in the version that `requirement` names.
pub(crate) fn python_package(requirement: &str) -> anyhow::Result<PathBuf> {
    let folder = run::target_folder()?.join("tools").join(requirement.replace("==", "-"));
    let done = folder.join("installed");
    if !done.is_file() {
        let mut make = Command::new("python3");
        run::run(make.args(["-m", "venv"]).arg(&folder))?;
        let mut install = Command::new(folder.join("bin/python"));
        run::run(install.args(["-m", "pip", "install", "--quiet", requirement]))?;
        fs::write(&done, "").context("noting that it is installed")?;
    }
    Ok(folder)
}
