//! How long a large export takes from the first byte uploaded to the last bookmark findable.

use std::time::Duration;

use anyhow::{Result, ensure};
use devstack::platform::Platform;
use serde_json::Value;
use system_tests::{
    Client, Export, ExportShape,
    report::{Median, mebibytes, table},
};
use tokio::time::{Instant, sleep};

use crate::{PROCESSES, usage_of};

const RUNS: usize = 3;
const SHAPE: ExportShape = ExportShape {
    bookmarks: 100_000,
    folders: 3_000,
};
const LIMIT: Duration = Duration::from_secs(300);
// A tag that every link of a generated export has.
const EVERY_LINK: &str = "query=tag:all";

/// Imports a large export for a new user, several times, and prints times and peaks.
pub async fn measure(platform: &Platform) -> Result<()> {
    let (mut imported, mut searchable) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let client = Client::register(&platform.edge_url(), &format!("import{run}@example.com")).await?;
        let export = Export::generate(&format!("run{run}"), SHAPE);
        let start = Instant::now();
        let import = client.upload(export.html).await?;
        let id = import["id"].as_str().unwrap_or_default();
        let import = client.wait_for_import(id, LIMIT, has_ended).await?;
        ensure!(
            import["counts"]["created"] == SHAPE.bookmarks,
            "not all were created: {import}"
        );
        imported.push(start.elapsed().as_secs_f64());
        wait_until_searchable(&client).await?;
        searchable.push(start.elapsed().as_secs_f64());
    }
    let rows = [
        vec!["upload to last row saved, s".to_owned(), Median::of(imported).text(1)],
        vec!["upload to all searchable, s".to_owned(), Median::of(searchable).text(1)],
    ];
    table(
        &format!("Import of {} bookmarks in {} folders", SHAPE.bookmarks, SHAPE.folders),
        &["", "median"],
        &rows,
    );
    peaks(platform)
}

fn has_ended(import: &Value) -> bool {
    !matches!(import["state"].as_str(), Some("QUEUED" | "RUNNING"))
}

async fn wait_until_searchable(client: &Client) -> Result<()> {
    let start = Instant::now();
    while client.count(EVERY_LINK).await? < SHAPE.bookmarks as u64 {
        ensure!(start.elapsed() < LIMIT, "not all is searchable after {LIMIT:?}");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn peaks(platform: &Platform) -> Result<()> {
    let mut rows = Vec::new();
    for name in PROCESSES {
        rows.push(vec![
            name.to_owned(),
            mebibytes(usage_of(platform, name)?.peak_memory_bytes),
        ]);
    }
    table("Peak memory, imports included", &["process", "MiB"], &rows);
    Ok(())
}
