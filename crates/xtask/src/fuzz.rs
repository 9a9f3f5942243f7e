//! `fuzz`: any bytes at all into crates/transcode, each target for a bounded time.

use std::path::Path;

use anyhow::{Context, ensure};

use crate::{run, tools::CargoTool};

const CARGO_FUZZ: CargoTool = CargoTool {
    name: "cargo-fuzz",
    version: "0.13.1",
};
const FOLDER: &str = "fuzz";
const TARGETS: [&str; 4] = ["path_trie", "query", "json_to_wire", "wire_to_json"];
/// For each target, unless the first argument says otherwise.
const SECONDS: u64 = 60;

/// The argument is how many seconds each target runs.
pub(crate) fn fuzz(arguments: &[String]) -> anyhow::Result<()> {
    let seconds = match arguments.first() {
        Some(text) => text.parse().context("reading the number of seconds")?,
        None => SECONDS,
    };
    let failed: Vec<&str> = TARGETS
        .into_iter()
        .filter(|target| run_target(target, seconds).is_err())
        .collect();
    ensure!(
        failed.is_empty(),
        "these targets failed: {}; what did it is in {FOLDER}/artifacts",
        failed.join(", ")
    );
    Ok(())
}

fn run_target(target: &str, seconds: u64) -> anyhow::Result<()> {
    let mut command = CARGO_FUZZ.command()?;
    command
        .args([
            "run",
            target,
            "--",
            &format!("-max_total_time={seconds}"),
            "-timeout=10",
        ])
        .current_dir(Path::new(FOLDER))
        // The sanitizer and the coverage are flags of the compiler that only a nightly takes unasked.
        .env("RUSTC_BOOTSTRAP", "1");
    run::run(&mut command)
}
