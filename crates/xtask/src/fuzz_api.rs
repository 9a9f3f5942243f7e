//! `fuzz-api`: a platform of its own, and schemathesis over everything that it says it serves.

use std::{path::PathBuf, process::Command};

use anyhow::Context;
use devstack::platform::{PROGRAMS, Platform};

use crate::run;

const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// For the whole run, unless the first argument says otherwise.
const SECONDS: u64 = 240;
/// Rules of a service that a schema does not say, such as that a password is not too short: what is right by the schema
/// may be refused.
const UNFIT_CHECKS: &str = "positive_data_acceptance";

/// The first argument is how many seconds it may take; the others go to schemathesis.
pub(crate) async fn fuzz_api(arguments: &[String]) -> anyhow::Result<()> {
    let (seconds, others) = match arguments.split_first() {
        Some((text, others)) => (text.parse().context("reading the number of seconds")?, others),
        None => (SECONDS, arguments),
    };
    devstack::install()?;
    let schemathesis = schemathesis()?;
    run::run(&mut run::build_of(PROGRAMS.map(|program| program.name), "dev"))?;
    let binaries = run::target_folder()?.join("debug");
    // With limits that it cannot reach: it is to see more than refusals.
    let settings = run::workspace().join("tests/generous.toml").display().to_string();
    let platform = Platform::start_temporary(&binaries, vec![("EDGE_SETTINGS".to_owned(), settings)]).await?;
    let mut command = Command::new(schemathesis);
    command
        .args(["run", &format!("{}/openapi.json", platform.edge_url())])
        .args(["--checks=all", &format!("--exclude-checks={UNFIT_CHECKS}")])
        .args([
            &format!("--max-time={seconds}"),
            "--continue-on-failure",
            "--generation-database=none",
        ])
        .args(others)
        .env("SCHEMATHESIS_HOOKS", run::workspace().join("fuzz/api.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // It leaves a folder of its own where it runs.
        .current_dir(platform.folder());
    let outcome = run::run(&mut command);
    platform.stop().await;
    outcome
}

/// In an environment of its own below the target folder, in a fixed version.
fn schemathesis() -> anyhow::Result<PathBuf> {
    let folder = run::target_folder()?
        .join("tools")
        .join(SCHEMATHESIS.replace("==", "-"));
    let binary = folder.join("bin/schemathesis");
    if !binary.is_file() {
        run::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run::run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", SCHEMATHESIS]))?;
    }
    Ok(binary)
}
