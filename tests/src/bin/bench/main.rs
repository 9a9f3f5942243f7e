//! `make bench`: the figures of docs/bench.md, measured through the edge of a private platform on this machine.

mod import;
mod load;
mod report;
mod requests;
mod usage;

use std::path::PathBuf;

use anyhow::{Context, Result};
use devstack::platform::Platform;
use report::{mebibytes, table};
use usage::Usage;

const PROCESSES: [&str; 6] = [
    "edge-gateway",
    "svc-auth",
    "svc-bookmarks",
    "svc-import",
    "svc-task",
    "svc-enrich",
];

/// The usage of a running process.
fn usage_of(platform: &Platform, name: &str) -> Result<Usage> {
    usage::read(platform.pid(name).with_context(|| format!("{name} is not running"))?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let binaries = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .context("usage: bench <folder of the binaries>")?;
    let platform = Platform::start_temporary(&binaries, Vec::new()).await?;

    idle(&platform)?;
    let mut accounts = requests::Accounts::register(&platform.edge_url()).await?;
    requests::measure(&platform, &mut accounts).await?;
    import::measure(&platform).await?;
    platform.stop().await;
    Ok(())
}

fn idle(platform: &Platform) -> Result<()> {
    let mut rows = Vec::new();
    for name in PROCESSES {
        let usage = usage_of(platform, name)?;
        rows.push(vec![name.to_owned(), mebibytes(usage.memory_bytes)]);
    }
    table("Idle", &["process", "memory MiB"], &rows);
    Ok(())
}
