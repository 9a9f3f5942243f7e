//! Metrics and health of each process on its admin port.

use std::time::Duration;

use anyhow::Result;
use devstack::platform::Platform;
use reqwest::Method;
use system_tests::{Client, Export, ExportShape, start_platform};
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(60);
const SHAPE: ExportShape = ExportShape {
    bookmarks: 50,
    folders: 2,
};

const CALLS: [&str; 4] = [
    "grpc_server_handled_total{",
    "grpc_server_handling_seconds_bucket{",
    "grpc_server_in_flight ",
    "process_resident_memory_bytes ",
];
const POOL: [&str; 2] = ["postgres_pool_connections ", "postgres_pool_idle_connections "];
const OUTBOX: [&str; 2] = ["outbox_unpublished ", "outbox_oldest_unpublished_age_seconds "];

#[tokio::test]
async fn every_admin_port_shows_what_an_operator_watches() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "watched@example.com").await?;
    let import = client.upload(Export::generate("watched", SHAPE).html).await?;
    let id = import["id"].as_str().unwrap_or_default();
    client
        .wait_for_import(id, LIMIT, |import| import["state"] == "COMPLETED")
        .await?;

    let edge = ["edge_requests_total{", "edge_request_seconds_bucket{", CALLS[3]];
    let lag = ["consumer_lag{", "consumer_handled_total{"];
    let tasks = [
        "tasks_open{state=\"RUNNING\"",
        "tasks_ended_total{state=\"SUCCEEDED\"",
        "task_claim_latency_seconds_bucket{",
    ];
    assert_shows(&platform, "edge-gateway", &[&edge]).await?;
    assert_shows(&platform, "svc-auth", &[&CALLS, &POOL]).await?;
    assert_shows(
        &platform,
        "svc-bookmarks",
        &[&CALLS, &POOL, &OUTBOX, &["search_lag_events "]],
    )
    .await?;
    assert_shows(&platform, "svc-import", &[&CALLS, &POOL, &OUTBOX, &lag]).await?;
    assert_shows(&platform, "svc-task", &[&CALLS, &POOL, &OUTBOX, &tasks]).await?;
    assert_shows(&platform, "svc-enrich", &[&CALLS[3..], &POOL, &OUTBOX, &lag]).await?;
    platform.stop().await;
    Ok(())
}

async fn assert_shows(platform: &Platform, name: &str, expected: &[&[&str]]) -> Result<()> {
    let admin = Client::anonymous(&platform.admin_address(name));

    for path in ["/health/live", "/health/startup", "/health/ready"] {
        let health = admin.get(path).await?;
        assert_eq!(health.status, 200, "{name}{path}: {}", health.body);
    }
    // Some figures are taken every few seconds.
    let start = Instant::now();
    loop {
        let metrics = admin.request(Method::GET, "/metrics").send().await?.text().await?;
        let shown = |beginning: &&str| metrics.lines().any(|line| line.starts_with(*beginning));
        let Some(missing) = expected.concat().into_iter().find(|beginning| !shown(beginning)) else {
            return Ok(());
        };
        assert!(start.elapsed() < LIMIT, "{name} does not show {missing}\n{metrics}");
        sleep(Duration::from_millis(100)).await;
    }
}
