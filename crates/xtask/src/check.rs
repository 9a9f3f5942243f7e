//! `check`: everything that must hold before a push, besides the tests. All steps run, and those that fail are named.

mod contract;
mod dependencies;
mod documents;
mod functions;
mod sources;

use anyhow::ensure;

use crate::{run, sqlx_data};

/// Runs the steps whose name contains one of the words, or every step; the quick ones first.
pub(crate) async fn check(words: &[String]) -> anyhow::Result<()> {
    let mut steps = Steps {
        words,
        failed: Vec::new(),
    };
    steps.take("format", format);
    steps.take("shape of the sources", sources::check);
    steps.take("buf lint", contract::lint);
    steps.take("buf breaking", contract::breaking);
    steps.take("openapi lint", documents::lint);
    steps.take("clippy", clippy);
    // After clippy, which shows its progress: what this needs compiled is there by now.
    if steps.begin("sqlx data") {
        let outcome = sqlx_data::verify().await;
        steps.end("sqlx data", outcome);
    }
    steps.take("docs", docs);
    steps.take("unused dependencies", dependencies::unused);
    steps.take("licences, bans, sources", dependencies::rules);
    steps.take("advisories", dependencies::advisories);
    ensure!(
        steps.failed.is_empty(),
        "these steps failed: {}",
        steps.failed.join("; ")
    );
    println!("check: all steps passed");
    Ok(())
}

struct Steps<'a> {
    words: &'a [String],
    failed: Vec<&'static str>,
}

impl Steps<'_> {
    fn take(&mut self, name: &'static str, step: fn() -> anyhow::Result<()>) {
        if self.begin(name) {
            self.end(name, step());
        }
    }

    /// Whether the step is wanted.
    fn begin(&self, name: &str) -> bool {
        let wanted = self.words.is_empty() || self.words.iter().any(|word| name.contains(word.as_str()));
        if wanted {
            println!("== {name}");
        }
        wanted
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
        "--features",
        run::FEATURES,
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn docs() -> anyhow::Result<()> {
    run::run(run::cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}
