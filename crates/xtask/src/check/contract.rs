//! The contract: buf's rules for the protos, and no change that breaks a caller.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::{run, tools};

const BUF: &str = "@bufbuild/buf@1.75.0";

/// Where a branch leaves what is already in use, most telling first.
const BASES: [&str; 2] = ["origin/main", "main"];

pub(super) fn lint() -> anyhow::Result<()> {
    run::run(tools::npx(BUF)?.arg("lint"))
}

/// Compares with the commit at which this branch left main, or on main itself with the one before.
pub(super) fn breaking() -> anyhow::Result<()> {
    let Some(base) = base()? else {
        println!("no earlier commit has a contract: nothing to compare with");
        return Ok(());
    };
    println!("comparing with {base}");
    let folder = TempDir::new().context("making a temporary folder")?;
    extract(&base, folder.path())?;
    run::run(tools::npx(BUF)?.arg("breaking").arg("--against").arg(folder.path()))
}

/// A commit other than HEAD that has a contract.
fn base() -> anyhow::Result<Option<String>> {
    let head = git(&["rev-parse", "HEAD"])?;
    let branches = BASES
        .iter()
        .filter_map(|branch| git(&["merge-base", "HEAD", branch]).ok());
    let earlier = branches.chain(git(&["rev-parse", "--verify", "--quiet", "HEAD~1"]));
    let mut candidates = earlier.filter(|commit| *commit != head);
    Ok(candidates.find(|commit| git(&["cat-file", "-e", &format!("{commit}:buf.yaml")]).is_ok()))
}

fn extract(commit: &str, folder: &Path) -> anyhow::Result<()> {
    let archive = folder.join("contract.tar");
    git(&[
        "archive",
        "--output",
        &archive.to_string_lossy(),
        commit,
        "buf.yaml",
        "proto",
    ])?;
    run::run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(folder))?;
    fs::remove_file(archive).context("removing the archive")
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").args(arguments).output().context("running git")?;
    ensure!(output.status.success(), "git {} failed", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
