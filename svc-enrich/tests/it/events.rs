//! The consumer of bookmarks: twice, out of order, poison, many at once.

use bookmesh_proto::{bookmarks::v1::Bookmark, enrich::v1::EnrichmentCompleted};
use prost::Message;
use tonic::Code;
use uuid::Uuid;

use crate::app::{TestApp, TestEvent, bees};

async fn completed(app: &TestApp, owner: Uuid) -> Vec<EnrichmentCompleted> {
    let payloads = app.said(owner).await;
    payloads
        .iter()
        .map(|payload| EnrichmentCompleted::decode(payload.as_slice()).unwrap())
        .collect()
}

#[tokio::test]
async fn proposals_and_word_of_them_are_made_once_though_the_event_comes_twice() {
    let app = TestApp::start().await;
    let (owner, bookmark) = (Uuid::now_v7(), bees(1));
    let event = TestEvent::created(owner, [&bookmark]);
    app.tell(&event).await;
    let first = app.get(owner, &bookmark.id).await.unwrap();

    app.publish(&event).await;
    let again = TestEvent {
        id: Uuid::now_v7(),
        ..event
    };
    app.tell(&again).await;

    assert_eq!(app.get(owner, &bookmark.id).await.unwrap(), first);
    let completed = completed(&app, owner).await;
    assert_eq!(completed.len(), 1);
    assert_eq!(completed[0].owner_id, owner.to_string());
    assert_eq!(completed[0].enrichments, [first]);
}

#[tokio::test]
async fn a_deleted_bookmark_loses_its_proposals() {
    let app = TestApp::start().await;
    let (owner, bookmark) = (Uuid::now_v7(), bees(1));
    app.tell(&TestEvent::created(owner, [&bookmark])).await;

    app.tell(&TestEvent::deleted(owner, &bookmark.id, 2)).await;

    let status = app.get(owner, &bookmark.id).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn a_creation_that_comes_after_the_deletion_brings_nothing_back() {
    let app = TestApp::start().await;
    let (owner, bookmark) = (Uuid::now_v7(), bees(1));
    app.tell(&TestEvent::deleted(owner, &bookmark.id, 2)).await;

    app.tell(&TestEvent::created(owner, [&bookmark])).await;

    let status = app.get(owner, &bookmark.id).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(app.said(owner).await.is_empty());
}

#[tokio::test]
async fn an_older_version_does_not_replace_a_newer_one() {
    let app = TestApp::start().await;
    let owner = Uuid::now_v7();
    let newer = bees(5);
    let older = Bookmark {
        version: 4,
        title: "Keeping wasps".to_owned(),
        ..newer.clone()
    };
    app.tell(&TestEvent::created(owner, [&newer])).await;

    app.tell(&TestEvent::created(owner, [&older])).await;

    assert_eq!(app.get(owner, &newer.id).await.unwrap().bookmark_version, 5);
}

#[tokio::test]
async fn of_a_bookmark_that_is_twice_in_one_event_the_newer_counts() {
    let app = TestApp::start().await;
    let owner = Uuid::now_v7();
    let older = bees(1);
    let newer = Bookmark {
        version: 2,
        ..older.clone()
    };

    app.tell(&TestEvent::created(owner, [&newer, &older])).await;

    assert_eq!(app.get(owner, &older.id).await.unwrap().bookmark_version, 2);
}

#[tokio::test]
async fn five_hundred_bookmarks_in_one_event_are_all_enriched_and_told_in_parts_that_fit() {
    let app = TestApp::start().await;
    let owner = Uuid::now_v7();
    let bookmarks: Vec<Bookmark> = (1..=500).map(bees).collect();

    app.tell(&TestEvent::created(owner, &bookmarks)).await;

    for bookmark in [&bookmarks[0], &bookmarks[499]] {
        app.get(owner, &bookmark.id).await.unwrap();
    }
    let parts: Vec<usize> = completed(&app, owner)
        .await
        .iter()
        .map(|part| part.enrichments.len())
        .collect();
    assert_eq!(parts, [400, 100]);
}

#[tokio::test]
async fn events_that_nobody_can_read_are_put_aside_and_hold_up_no_others() {
    let app = TestApp::start().await;
    let (owner, bookmark) = (Uuid::now_v7(), bees(1));
    let good = TestEvent::created(owner, [&bookmark]);
    let fresh = || Uuid::now_v7();
    let poison = [
        TestEvent {
            id: fresh(),
            payload: b"\xff\xff\xff".to_vec(),
            ..good.clone()
        },
        TestEvent {
            id: fresh(),
            event_type: "bookmesh.bookmarks.v9.BookmarkTransmuted",
            ..good.clone()
        },
        TestEvent {
            id: fresh(),
            owner: fresh(),
            ..good.clone()
        },
        TestEvent::created(
            owner,
            &[Bookmark {
                id: "no id".to_owned(),
                ..bees(1)
            }],
        ),
    ];
    for event in &poison {
        app.publish(event).await;
    }

    app.tell(&good).await;

    app.get(owner, &bookmark.id).await.unwrap();
    for event in &poison {
        app.wait_until_dead(event).await;
    }
}

#[tokio::test]
async fn a_changed_bookmark_keeps_the_proposals_it_has() {
    let app = TestApp::start().await;
    let (owner, bookmark) = (Uuid::now_v7(), bees(1));
    let created = TestEvent::created(owner, [&bookmark]);
    app.tell(&created).await;

    let updated = TestEvent {
        id: Uuid::now_v7(),
        event_type: "bookmesh.bookmarks.v1.BookmarkUpdated",
        ..created
    };
    app.tell(&updated).await;

    assert_eq!(app.get(owner, &bookmark.id).await.unwrap().bookmark_version, 1);
}
