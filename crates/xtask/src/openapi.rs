//! `openapi`: writes the edge's own description of itself to where it is committed.

use std::{fs, process::Stdio};

use anyhow::{Context, ensure};

use crate::run;

const FILE: &str = "docs/openapi.json";

pub(crate) fn update() -> anyhow::Result<()> {
    let output = run::cargo(&["run", "--quiet", "--package", "edge-gateway", "--", "openapi"])
        .stderr(Stdio::inherit())
        .output()
        .context("running edge-gateway openapi")?;
    ensure!(
        output.status.success(),
        "edge-gateway openapi ended with {}",
        output.status
    );
    fs::write(FILE, output.stdout).with_context(|| format!("writing {FILE}"))?;
    println!("wrote {FILE}");
    Ok(())
}
