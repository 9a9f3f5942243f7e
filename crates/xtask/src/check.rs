//! `check`: everything that must hold before a push, besides the tests. All steps run, and those that fail are named.

mod contract;
mod dependencies;
mod functions;
mod sources;

use anyhow::bail;

use crate::{run, sqlx_data};

/// Runs every step, the quick ones first.
pub(crate) async fn check() -> anyhow::Result<()> {
    let mut steps = Steps { failed: Vec::new() };
    steps.take("format", format);
    steps.take("shape of the sources", sources::check);
    steps.take("buf lint", contract::lint);
    steps.take("buf breaking", contract::breaking);
    steps.take("clippy", clippy);
    steps.begin("committed sqlx data");
    let outcome = sqlx_data::verify().await;
    steps.end("committed sqlx data", outcome);
    steps.take("docs", docs);
    steps.take("unused dependencies", dependencies::unused);
    steps.take("licences, bans, sources", dependencies::rules);
    steps.take("advisories", dependencies::advisories);
    if steps.failed.is_empty() {
        println!("check: all steps passed");
        return Ok(());
    }
    bail!("these steps failed: {}", steps.failed.join("; "));
}

struct Steps {
    failed: Vec<&'static str>,
}

impl Steps {
    fn take(&mut self, name: &'static str, step: fn() -> anyhow::Result<()>) {
        self.begin(name);
        let outcome = step();
        self.end(name, outcome);
    }

    fn begin(&self, name: &str) {
        println!("== {name}");
    }

    fn end(&mut self, name: &'static str, outcome: anyhow::Result<()>) {
        if let Err(error) = outcome {
            println!("== {name} failed: {error:#}");
            self.failed.push(name);
        }
    }
}

fn format() -> anyhow::Result<()> {
    run::run(&mut run::cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> anyhow::Result<()> {
    run::run(&mut run::cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn docs() -> anyhow::Result<()> {
    run::run(run::cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}
