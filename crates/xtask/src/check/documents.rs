//! The OpenAPI document, by the rules of two linters.

use std::process::Command;

use crate::{run, tools};

const DOCUMENT: &str = "docs/openapi.json";
const REDOCLY: &str = "@redocly/cli@2.77.0";
const SPECTRAL: &str = "@stoplight/spectral-cli@6.16.3";

/// Warnings count as errors: an exception stands in the linter's own file, with its reason.
pub(super) fn lint() -> anyhow::Result<()> {
    if !has_npm() {
        println!("npm is not here: the OpenAPI document is not linted");
        return Ok(());
    }
    run::run(tools::npx(REDOCLY)?.args(["lint", DOCUMENT]))?;
    run::run(tools::npx(SPECTRAL)?.args(["lint", "--fail-severity=warn", DOCUMENT]))
}

fn has_npm() -> bool {
    let asked = Command::new("npm").arg("--version").output();
    asked.is_ok_and(|output| output.status.success())
}
