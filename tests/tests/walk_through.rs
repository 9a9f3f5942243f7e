//! What a newcomer does, from registering to finding a link again by half of what they remember.

use std::time::Duration;

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Answer, Client, Export, ExportShape, start_platform};
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(60);
const SHAPE: ExportShape = ExportShape {
    bookmarks: 1200,
    folders: 40,
};

#[tokio::test]
async fn an_export_is_imported_watched_and_found_again() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "newcomer@example.com").await?;
    let export = Export::generate("walk", SHAPE);

    let import = client.upload(export.html.clone()).await?;
    let task_path = format!("/v1/tasks/{}", import["taskId"].as_str().unwrap_or_default());
    let changes = watch(&client, &task_path).await?;

    assert_eq!(
        changes.last().map(|task| task["state"].clone()),
        Some(json!("SUCCEEDED")),
        "{changes:?}"
    );
    assert_every_change_came_once_and_in_order(&changes);
    let import = client
        .get(&format!("/v1/imports/{}", import["id"].as_str().unwrap_or_default()))
        .await?
        .body;
    assert_eq!(import["state"], "COMPLETED");
    assert_eq!(import["counts"]["created"], SHAPE.bookmarks);
    let listed = client.bookmarks("").await?;
    assert!(export.urls.iter().all(|url| listed.contains_key(url)));
    assert_eq!(listed.len(), export.urls.len());

    let version = listed
        .values()
        .filter_map(|bookmark| bookmark["version"].as_str()?.parse::<i64>().ok())
        .max();
    wait_for_the_index(&client).await?;
    let found = client
        .get(&format!(
            "/v1/bookmarks?query=lant%20orch&minVersion={}",
            version.unwrap_or_default()
        ))
        .await?;
    assert_eq!(found.body["totalSize"], 0, "only the last word may be a beginning");
    let found = client.get("/v1/bookmarks?query=lantern%20orch&page_size=20").await?;
    assert!(found.body["totalSize"].as_u64() > Some(0), "{}", found.body);
    assert_eq!(
        found.body["matches"].as_array().map(Vec::len),
        found.body["bookmarks"].as_array().map(Vec::len)
    );

    platform.stop().await;
    Ok(())
}

/// The platform has just been started: until the index is made, searches look through the list and count nothing.
async fn wait_for_the_index(client: &Client) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while client.get("/v1/bookmarks?query=lantern").await?.body["degraded"] == true {
        anyhow::ensure!(Instant::now() < deadline, "the index is never made");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn the_same_file_again_changes_nothing_and_says_so() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "twice@example.com").await?;
    let export = Export::generate("twice", SHAPE);
    import(&client, &export.html).await?;
    let before = client.bookmarks("").await?;

    let again = import(&client, &export.html).await?;

    assert_eq!(again["counts"]["unchanged"], SHAPE.bookmarks, "{again}");
    assert_eq!(again["counts"]["created"], 0);
    assert_eq!(client.bookmarks("").await?, before);
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn bad_input_is_answered_with_the_field_and_the_rule() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "careless@example.com").await?;
    let huge = "x".repeat(10_000_000);

    let cases = [
        (client.post("/v1/bookmarks", &json!({"url": "no scheme"})).await?, "url"),
        (
            client
                .post(
                    "/v1/bookmarks",
                    &json!({"url": "https://a.example", "title": "nul \u{0}"}),
                )
                .await?,
            "title",
        ),
        (
            client
                .post("/v1/bookmarks", &json!({"url": "https://a.example", "title": huge}))
                .await?,
            "title",
        ),
        (
            client
                .post("/v1/bookmarks", &json!({"url": "https://a.example", "colour": "red"}))
                .await?,
            "colour",
        ),
        (client.post("/v1/bookmarks", &json!({"url": 7})).await?, "url"),
        (client.get("/v1/bookmarks?pageSize=-1").await?, "pageSize"),
        (client.get("/v1/bookmarks?pageToken=nonsense").await?, "pageToken"),
        (client.get("/v1/bookmarks?colour=red").await?, "colour"),
        (client.get("/v1/bookmarks?pageSize=many").await?, "pageSize"),
    ];

    for (answer, field) in cases {
        assert_problem(&answer, 400);
        assert_eq!(answer.body["errors"][0]["field"], field, "{}", answer.body);
        assert_ne!(answer.body["errors"][0]["description"], "", "{}", answer.body);
    }
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_link_saved_twice_is_a_conflict_that_names_the_first() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "again@example.com").await?;
    let first = client
        .post(
            "/v1/bookmarks",
            &json!({"url": "https://example.com/a?utm_source=mail"}),
        )
        .await?;
    assert_eq!(first.status, 201);
    assert_eq!(first.header("location"), format!("/v1/bookmarks/{}", first.text("id")));

    let second = client
        .post("/v1/bookmarks", &json!({"url": "HTTPS://EXAMPLE.com:443/a"}))
        .await?;

    assert_problem(&second, 409);
    assert!(second.body.to_string().contains(first.text("id")), "{}", second.body);
    platform.stop().await;
    Ok(())
}

async fn import(client: &Client, html: &str) -> Result<Value> {
    let import = client.upload(html.to_owned()).await?;
    let id = import["id"].as_str().unwrap_or_default();
    client
        .wait_for_import(id, LIMIT, |import| {
            !matches!(import["state"].as_str(), Some("QUEUED" | "RUNNING"))
        })
        .await
}

/// Follows a task by server-sent events until the stream ends.
async fn watch(client: &Client, task_path: &str) -> Result<Vec<Value>> {
    let request = client
        .request(Method::GET, &format!("{task_path}:watch"))
        .header("accept", "text/event-stream");
    let events = tokio::time::timeout(LIMIT, async { request.send().await?.text().await }).await??;
    events
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| Ok(serde_json::from_str(data)?))
        .collect()
}

fn assert_every_change_came_once_and_in_order(changes: &[Value]) {
    let versions: Vec<i64> = changes
        .iter()
        .filter_map(|task| task["version"].as_str()?.parse().ok())
        .collect();
    assert_eq!(versions.len(), changes.len());
    assert!(versions.windows(2).all(|pair| pair[1] == pair[0] + 1), "{versions:?}");
}

fn assert_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.body["status"], status);
    for field in ["title", "code", "reason", "requestId", "traceId"] {
        assert_ne!(answer.text(field), "", "{field} of {}", answer.body);
    }
}
