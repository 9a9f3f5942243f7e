//! `make bench`: the figures of docs/bench.md, measured through the edge of a private platform on this machine.

mod import;
mod requests;
mod start;

use std::path::PathBuf;

use anyhow::{Context, Result};
use devstack::platform::Platform;
use system_tests::{
    GENEROUS_SETTINGS, Usage,
    report::{machine, mebibytes, table},
    usage,
};

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
    usage(platform.pid(name).with_context(|| format!("{name} is not running"))?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let binaries = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .context("usage: bench <folder of the binaries>")?;
    let environment = vec![("EDGE_SETTINGS".to_owned(), GENEROUS_SETTINGS.to_owned())];
    let platform = Platform::start_temporary(&binaries, environment).await?;

    machine(&binaries);
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
        let memory = mebibytes(usage_of(platform, name)?.memory_bytes);
        rows.push(vec![name.to_owned(), memory, start::measure(platform, name)?.text(0)]);
    }
    table("Idle", &["process", "memory MiB", "start to ready, ms"], &rows);
    Ok(())
}
