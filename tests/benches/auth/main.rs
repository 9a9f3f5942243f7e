//! `make bench-auth`: what svc-auth can do: log-ins, refreshes, checks of tokens, a flood of log-ins, and whether the time of an
//! answer tells who has an account.

mod accounts;
mod checks;
mod flood;
mod requests;
mod timing;

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use devstack::platform::Platform;
use system_tests::{
    GENEROUS_SETTINGS, Usage,
    report::{machine, mebibytes, table},
    usage,
};

const SERVICE: &str = "svc-auth";
const PARTS: [&str; 4] = ["checks", "requests", "flood", "timing"];

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (binaries, words) = arguments
        .split_first()
        .context("usage: auth <folder of the binaries> [checks|requests|flood|timing]...")?;
    let binaries = PathBuf::from(binaries);
    let wanted = |part: &&str| words.is_empty() || words.iter().any(|word| word == part);
    machine(&binaries);
    for part in PARTS.iter().filter(|part| wanted(part)) {
        measure(part, &binaries).with_context(|| format!("measuring {part}"))?;
    }
    Ok(())
}

/// Each part has a runtime of its own: what one leaves behind does not weigh on the next.
fn measure(part: &str, binaries: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match part {
            "checks" => checks::measure().await,
            "requests" => requests::measure(binaries).await,
            "flood" => flood::measure(binaries).await,
            _ => timing::measure(binaries).await,
        }
    })
}

/// A platform whose svc-auth hashes at a cost, as `AUTH_HASHING_COST` says it; by default where it is empty.
async fn platform(binaries: &Path, cost: &str) -> Result<Platform> {
    let mut environment = vec![("EDGE_SETTINGS".to_owned(), GENEROUS_SETTINGS.to_owned())];
    if !cost.is_empty() {
        environment.push(("AUTH_HASHING_COST".to_owned(), cost.to_owned()));
    }
    Platform::start_temporary(binaries, environment).await
}

fn usage_of(platform: &Platform) -> Result<Usage> {
    usage(platform.pid(SERVICE).context("svc-auth is not running")?)
}

fn memory(platform: &Platform, title: &str) -> Result<()> {
    let usage = usage_of(platform)?;
    let row = vec![mebibytes(usage.memory_bytes), mebibytes(usage.peak_memory_bytes)];
    table(title, &["svc-auth, MiB", "peak"], &[row]);
    Ok(())
}
