//! Kills each process and each store during an import, wipes each store that is not the record, and counts what is left.

use std::{fs, time::Duration};

use anyhow::Result;
use devstack::platform::Platform;
use serde_json::{Value, json};
use system_tests::{Client, Export, ExportShape, start_platform};
use tokio::time::{Instant, sleep};

const SHAPE: ExportShape = ExportShape {
    bookmarks: 20_000,
    folders: 600,
};
const SMALL: ExportShape = ExportShape {
    bookmarks: 1_000,
    folders: 20,
};
const LIMIT: Duration = Duration::from_secs(120);
const DOWN: Duration = Duration::from_millis(700);
// A tag that every link of a generated export has.
const EVERY_LINK: &str = "query=tag:all";

const VICTIMS: [&str; 9] = [
    "edge-gateway",
    "svc-auth",
    "svc-bookmarks",
    "svc-import",
    "svc-task",
    "svc-enrich",
    "nats",
    "redis",
    "postgres",
];

#[tokio::test]
async fn killing_anything_during_an_import_ends_in_the_exact_set() -> Result<()> {
    let platform = start_platform().await?;
    for victim in VICTIMS {
        let client = Client::register(&platform.edge_url(), &format!("{victim}@example.com")).await?;
        let export = Export::generate(victim, SHAPE);
        let import = client.upload(export.html.clone()).await?;
        let id = import["id"].as_str().unwrap_or_default();
        client
            .wait_for_import(id, LIMIT, |import| import["counts"]["created"].as_u64() > Some(2_000))
            .await?;

        assert_eq!(state(&client, id).await?, "RUNNING", "{victim} must die in the middle");
        kill(&platform, victim)?;
        sleep(DOWN).await;
        restart(&platform, victim)?;

        let import = client.wait_for_import(id, LIMIT, has_ended).await?;
        assert_eq!(import["state"], "COMPLETED", "{victim}: {import}");
        assert_eq!(import["counts"]["created"], SHAPE.bookmarks, "{victim}: {import}");
        assert_exactly(&client, &export).await?;
        assert_all_searchable(&client, SHAPE.bookmarks).await?;
    }
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn wiping_what_is_not_the_record_heals_by_itself() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "wipes@example.com").await?;
    let first = imported(&client, "first").await?;

    platform.stack().wipe_jetstream()?;
    let second = imported(&client, "second").await?;
    assert_all_searchable(&client, first + second).await?;

    platform.stack().flush_redis()?;
    assert_eq!(client.get("/v1/users/me").await?.status, 200, "nobody is logged out");

    fs::remove_dir_all(platform.folder().join("index"))?;
    let third = imported(&client, "third").await?;
    assert_all_searchable(&client, first + second + third).await?;
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_saved_bookmark_is_found_by_whoever_asks_for_its_version() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "quick@example.com").await?;
    let bookmark = json!({"url": "https://example.com/zebra", "title": "A zebra crossing"});

    let saved = client.post("/v1/bookmarks", &bookmark).await?;
    let query = format!("query=zebra&minVersion={}", saved.text("version"));

    // Not its count: an index that is too far behind leaves the search to the list, which finds and does not count.
    let page = client.get(&format!("/v1/bookmarks?{query}")).await?;
    assert_eq!(page.body["bookmarks"][0]["id"], saved.body["id"], "{}", page.body);
    platform.stop().await;
    Ok(())
}

fn kill(platform: &Platform, victim: &str) -> Result<()> {
    match victim {
        "nats" => platform.stack().kill_nats(),
        "redis" => platform.stack().kill_redis(),
        "postgres" => platform.stack().kill_postgres(),
        process => platform.kill(process),
    }
}

fn restart(platform: &Platform, victim: &str) -> Result<()> {
    match victim {
        "nats" => platform.stack().start_nats(),
        "redis" => platform.stack().start_redis(),
        "postgres" => platform.stack().start_postgres(),
        process => platform.restart(process),
    }
}

async fn state(client: &Client, import_id: &str) -> Result<Value> {
    let mut import = client.get(&format!("/v1/imports/{import_id}")).await?;
    Ok(import.body["state"].take())
}

async fn imported(client: &Client, name: &str) -> Result<usize> {
    let import = client.upload(Export::generate(name, SMALL).html).await?;
    let id = import["id"].as_str().unwrap_or_default();
    let import = client.wait_for_import(id, LIMIT, has_ended).await?;
    assert_eq!(import["state"], "COMPLETED", "{import}");
    Ok(SMALL.bookmarks)
}

fn has_ended(import: &Value) -> bool {
    !matches!(import["state"].as_str(), Some("QUEUED" | "RUNNING"))
}

async fn assert_exactly(client: &Client, export: &Export) -> Result<()> {
    let listed = client.bookmarks("").await?;
    let missing = export.urls.iter().filter(|url| !listed.contains_key(*url)).count();
    assert_eq!(
        (missing, listed.len()),
        (0, export.urls.len()),
        "missing, and how many there are"
    );
    Ok(())
}

async fn assert_all_searchable(client: &Client, count: usize) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    let mut found = 0;
    while Instant::now() < deadline {
        found = client.count(EVERY_LINK).await.unwrap_or(found);
        if found == count as u64 {
            return Ok(());
        }
        sleep(Duration::from_millis(200)).await;
    }
    panic!("{found} of {count} are searchable after {LIMIT:?}")
}
