//! Losing what can be lost: the index, JetStream, an event's order.

use std::{fs, path::Path, time::Duration};

use bookmesh_proto::bookmarks::v1::{Bookmark, BookmarkCreated, ListBookmarksRequest};
use devstack::{Devstack, Ports};
use prost::Message;
use sqlx::Row;

use crate::app::TestApp;

#[tokio::test]
async fn an_index_that_was_deleted_comes_back() {
    let app = TestApp::start().await;
    let ada = app.person();
    for index in 0..30 {
        ada.save(&format!("https://example.com/{index}"), "lost and found", &[])
            .await;
    }
    let gone = ada.save("https://example.com/gone", "lost and gone", &[]).await;
    ada.find_in_the_end("lost", 20).await;
    ada.delete(&gone.id, "").await.unwrap();

    // A commit may write into the folder while it is being removed.
    while fs::remove_dir_all(app.index_folder()).is_err() {}
    let later = ada.save("https://example.com/later", "lost later", &[]).await;

    ada.find_in_the_end("later", 1).await;
    ada.find_in_the_end("lost found", 20).await;
    ada.find_in_the_end("gone", 0).await;
    let everything = ListBookmarksRequest {
        query: "lost".to_owned(),
        ..ListBookmarksRequest::default()
    };
    assert_eq!(ada.list(everything).await.unwrap().total_size, 31);
    assert_eq!(ada.find("later", later.version).await, ["lost later"]);
    assert!(app.index_folder().exists());
}

#[tokio::test]
async fn a_wiped_jetstream_loses_nothing() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let app = TestApp::start_with(&stack.nats_url()).await;
    let ada = app.person();
    let before = ada.save("https://example.com/before", "saved before", &[]).await;
    ada.find("before", before.version).await;

    let stack = tokio::task::spawn_blocking(move || {
        stack.kill_nats().unwrap();
        stack
    })
    .await
    .unwrap();
    ada.save("https://example.com/while", "saved while away", &[]).await;
    let stack = tokio::task::spawn_blocking(move || {
        stack.wipe_jetstream().unwrap();
        stack
    })
    .await
    .unwrap();
    ada.save("https://example.com/after", "saved after", &[]).await;

    ada.find_in_the_end("saved", 3).await;
    let last = ada.save("https://example.com/last", "saved last", &[]).await;
    ada.find_in_the_end("last", 1).await;
    assert_eq!(ada.find("saved", last.version).await.len(), 4);
    stack.stop().await;
}

#[tokio::test]
async fn old_events_that_come_again_change_nothing() {
    let app = TestApp::start().await;
    let ada = app.person();
    let old = ada.save("https://example.com/a", "first title", &[]).await;
    let new = ada
        .update(
            Bookmark {
                title: "second title".to_owned(),
                ..old.clone()
            },
            &["title"],
        )
        .await
        .unwrap();
    let deleted = ada.save("https://example.com/b", "deleted title", &[]).await;
    ada.find("deleted", deleted.version).await;
    ada.delete(&deleted.id, "").await.unwrap();
    ada.find_in_the_end("deleted", 0).await;

    for stale in [old, deleted] {
        publish_again(&app, ada.id, stale).await;
    }
    let marker = ada.save("https://example.com/c", "marker", &[]).await;

    assert_eq!(ada.find("marker", marker.version).await, ["marker"]);
    assert_eq!(ada.find("title", 0).await, ["second title"]);
    assert_eq!(ada.find("first", 0).await, Vec::<String>::new());
    assert!(new.version < marker.version);
}

/// As a relay would that publishes twice, behind JetStream's window for duplicates.
async fn publish_again(app: &TestApp, owner: uuid::Uuid, stale: Bookmark) {
    let subject = format!("evt.bookmarks.bookmark_created.{owner}");
    let payload = BookmarkCreated {
        owner_id: owner.to_string(),
        bookmarks: vec![stale.clone()],
    }
    .encode_to_vec();
    let insert =
        "INSERT INTO bookmarks.outbox (event_id, subject, event_type, owner_id, aggregate_id, version, payload)
        VALUES ($1, $2, 'bookmesh.bookmarks.v1.BookmarkCreated', $3, $3, $4, $5)";
    let mut admin = app.admin().await;
    let query = sqlx::query(insert)
        .bind(uuid::Uuid::now_v7())
        .bind(subject)
        .bind(owner)
        .bind(stale.version);
    query.bind(payload).execute(&mut admin).await.unwrap();
    for _ in 0..100 {
        let left = sqlx::query("SELECT count(*) FROM bookmarks.outbox WHERE published_at IS NULL");
        if left.fetch_one(&mut admin).await.unwrap().get::<i64, _>(0) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the relay does not publish");
}

#[tokio::test]
async fn a_damaged_index_is_put_aside() {
    let app = TestApp::start().await;
    let ada = app.person();
    let saved = ada.save("https://example.com/", "still here", &[]).await;
    ada.find("here", saved.version).await;

    let app = app.restart(damage).await;
    let ada = app.again(&ada);
    let later = ada.save("https://example.com/later", "later", &[]).await;

    ada.find_in_the_end("here", 1).await;
    assert_eq!(ada.find("later", later.version).await, ["later"]);
}

#[tokio::test]
async fn what_was_findable_is_so_after_a_restart() {
    let app = TestApp::start().await;
    let ada = app.person();
    let saved = ada.save("https://example.com/", "still here", &[]).await;
    ada.find("here", saved.version).await;

    let app = app.restart(|_| {}).await;
    let ada = app.again(&ada);

    ada.find_in_the_end("here", 1).await;
    assert_eq!(ada.find("here", saved.version).await, ["still here"]);
}

fn damage(index: &Path) {
    for folder in fs::read_dir(index).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            fs::write(file.unwrap().path(), b"damage").unwrap();
        }
    }
}
