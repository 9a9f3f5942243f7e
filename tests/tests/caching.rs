//! Answers that the edge keeps, and changes from every side: a user reads what was written.

use std::time::Duration;

use anyhow::{Context, Result};
use bookmesh_proto::bookmarks::v1::{Bookmark, UpdateBookmarkRequest, bookmark_service_client::BookmarkServiceClient};
use devstack::platform::Platform;
use prost_types::FieldMask;
use serde_json::{Value, json};
use system_tests::{Answer, Client, Export, ExportShape, start_platform};
use tokio::time::{Instant, sleep};
use tonic::Request;

const ROUNDS: usize = 20;
const LIMIT: Duration = Duration::from_secs(60);
/// An event takes milliseconds, and a second when it has to be looked for; without one a kept answer lives for a minute.
const EVENT_WITHIN: Duration = Duration::from_secs(10);
const SHAPE: ExportShape = ExportShape {
    bookmarks: 50,
    folders: 2,
};

#[tokio::test]
async fn a_user_reads_what_was_written_just_before() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "writes@example.com").await?;
    let path = save(&client).await?;

    for round in 0..ROUNDS {
        wait_until_kept(&client, &path).await?;
        let title = format!("Title {round}");
        let changed = client.patch(&path, &json!({"title": title})).await?;
        assert_eq!(changed.status, 200, "{}", changed.body);

        let read = client.get(&path).await?;
        assert_eq!(read.text("title"), title, "{:?}", read.headers);
        assert_eq!(read.header("etag"), changed.header("etag"));
    }

    wait_until_kept(&client, &path).await?;
    assert_eq!(client.delete(&path).await?.status, 204);
    assert_eq!(client.get(&path).await?.status, 404);
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_change_that_no_edge_has_seen_is_read_when_its_event_has_come() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "events@example.com").await?;
    let path = save(&client).await?;

    for round in 0..ROUNDS {
        wait_until_kept(&client, &path).await?;
        let title = format!("Title {round}");
        change_directly(&platform, &client, &path, &title).await?;
        wait_for(&client, &path, |read| read.text("title") == title).await?;
    }
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn an_import_makes_old_what_is_kept_of_what_it_changes() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "imports@example.com").await?;
    save(&client).await?;
    wait_until_kept(&client, "/v1/tags").await?;

    let import = client.upload(Export::generate("kept", SHAPE).html).await?;
    let id = import["id"].as_str().unwrap_or_default();
    let has_completed = |import: &Value| import["state"] == "COMPLETED";
    client.wait_for_import(id, LIMIT, has_completed).await?;

    // A tag that every link of a generated export has.
    let is_there = |read: &Answer| count_of_tag(&read.body, "all") == SHAPE.bookmarks as u64;
    wait_for(&client, "/v1/tags", is_there).await?;
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn without_nats_writes_are_taken_and_nothing_kept_passes_for_fresh() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "silence@example.com").await?;
    let path = save(&client).await?;
    wait_until_kept(&client, &path).await?;

    platform.stack().kill_nats()?;
    wait_for(&client, &path, |read| !is_hit(read)).await?;
    for round in 0..ROUNDS {
        let title = format!("Title {round}");
        change_directly(&platform, &client, &path, &title).await?;
        let read = client.get(&path).await?;
        assert_eq!(read.text("title"), title, "{:?}", read.headers);
    }

    platform.stack().start_nats()?;
    wait_until_kept(&client, &path).await?;
    platform.stop().await;
    Ok(())
}

/// Answers the path of a new bookmark.
async fn save(client: &Client) -> Result<String> {
    let bookmark = json!({"url": "https://example.com/kept", "title": "As it was saved", "tags": ["first"]});
    let saved = client.post("/v1/bookmarks", &bookmark).await?;
    assert_eq!(saved.status, 201, "{}", saved.body);
    Ok(saved.header("location").to_owned())
}

/// A test of what is kept begins when something is: the subscription to events may be young, or an event on its way.
async fn wait_until_kept(client: &Client, path: &str) -> Result<()> {
    wait_for(client, path, is_hit).await
}

async fn wait_for(client: &Client, path: &str, is_so: impl Fn(&Answer) -> bool) -> Result<()> {
    let start = Instant::now();
    loop {
        let read = client.get(path).await?;
        assert_eq!(read.status, 200, "{}", read.body);
        if is_so(&read) {
            return Ok(());
        }
        let status = read.header("cache-status");
        assert!(start.elapsed() < EVENT_WITHIN, "still {status}: {}", read.body);
        sleep(Duration::from_millis(5)).await;
    }
}

fn is_hit(read: &Answer) -> bool {
    read.header("cache-status").starts_with("edge; hit")
}

/// By gRPC, past the edge.
async fn change_directly(platform: &Platform, client: &Client, path: &str, title: &str) -> Result<()> {
    let id = path.rsplit('/').next().context("a path has segments")?;
    let mut request = Request::new(UpdateBookmarkRequest {
        bookmark: Some(Bookmark {
            id: id.to_owned(),
            title: title.to_owned(),
            ..Bookmark::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["title".to_owned()],
        }),
    });
    let header = format!("Bearer {}", client.token()).parse()?;
    request.metadata_mut().insert("authorization", header);
    let mut service = BookmarkServiceClient::connect(platform.service_address("svc-bookmarks")).await?;
    service.update_bookmark(request).await?;
    Ok(())
}

fn count_of_tag(body: &Value, name: &str) -> u64 {
    let tags = body["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tag = tags.iter().find(|tag| tag["name"] == name);
    tag.and_then(|tag| tag["bookmarkCount"].as_u64()).unwrap_or_default()
}
