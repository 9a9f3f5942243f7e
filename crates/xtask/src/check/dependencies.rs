//! What we depend on: used, licensed, not banned, from crates.io, without known holes.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::{run, tools::CargoTool};

const DENY: CargoTool = CargoTool {
    name: "cargo-deny",
    version: "0.20.2",
};
const MACHETE: CargoTool = CargoTool {
    name: "cargo-machete",
    version: "0.9.2",
};

pub(super) fn unused() -> anyhow::Result<()> {
    run::run(&mut MACHETE.command()?)
}

pub(super) fn rules() -> anyhow::Result<()> {
    run::run(DENY.command()?.args(["check", "licenses", "bans", "sources"]))
}

/// Only a machine without a way to the database may go on without it, and says so.
pub(super) fn advisories() -> anyhow::Result<()> {
    if let Err(error) = fetch() {
        println!("!! NOT CHECKED: known vulnerabilities, because the advisory database cannot be fetched: {error:#}");
        return Ok(());
    }
    run::run(DENY.command()?.args(["check", "advisories"]))
}

fn fetch() -> anyhow::Result<()> {
    let mut command: Command = DENY.command()?;
    let output = command.args(["fetch", "db"]).output().context("running cargo-deny")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let reason = errors.lines().rfind(|line| !line.trim().is_empty());
    ensure!(output.status.success(), "{}", reason.unwrap_or("no reason given"));
    Ok(())
}
