//! CreateBookmark and GetBookmark.

use bookmesh_proto::bookmarks::v1::{Bookmark, CollectionPath};
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::app::{TestApp, bookmark, fields, reason};

#[tokio::test]
async fn a_bookmark_is_kept_as_it_was_given() {
    let app = TestApp::start().await;
    let ada = app.person();
    let given = Bookmark {
        url: "HTTPS://Example.com:443/a?utm_source=x#top".to_owned(),
        title: "A title".to_owned(),
        description: "What it says".to_owned(),
        note: "What I say".to_owned(),
        tags: vec!["Rust".to_owned(), "rust".to_owned(), "async".to_owned()],
        collections: vec![CollectionPath {
            names: vec!["Work, etc.".to_owned(), "Später".to_owned()],
        }],
        to_read: true,
        private: true,
        ..Bookmark::default()
    };

    let created = ada.create(given.clone()).await.unwrap();

    assert_eq!(created.url, given.url);
    assert_eq!(created.tags, ["Rust", "async"]);
    assert_eq!(created.collections, given.collections);
    assert!(created.to_read && created.private && !created.etag.is_empty() && created.version > 0);
    assert_eq!(created.create_time, created.update_time);
    assert_eq!(ada.get(&created.id).await.unwrap(), created);
}

#[tokio::test]
async fn a_link_saved_before_is_named() {
    let app = TestApp::start().await;
    let ada = app.person();
    let first = ada.save("https://example.com/a", "A", &[]).await;

    let status = ada
        .create(bookmark("https://EXAMPLE.com/a?utm_medium=mail#x"))
        .await
        .unwrap_err();

    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::AlreadyExists, "BOOKMARK_EXISTS")
    );
    assert_eq!(
        status.get_details_error_info().unwrap().metadata["bookmark_id"],
        first.id
    );
}

#[tokio::test]
async fn of_two_hundred_at_once_one_is_saved() {
    let app = TestApp::start().await;
    let ada = app.person();

    let attempts = (0..200).map(|_| {
        let ada = ada.clone();
        tokio::spawn(async move { ada.create(bookmark("https://example.com/")).await })
    });
    let mut outcomes = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        outcomes.push(attempt.await.unwrap());
    }

    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for status in outcomes.into_iter().filter_map(Result::err) {
        assert!(
            matches!(status.code(), Code::AlreadyExists | Code::Unavailable),
            "{status}"
        );
    }
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let app = TestApp::start().await;
    let ada = app.person();
    let good = bookmark("https://example.com/");
    let long = |bytes| "x".repeat(bytes);
    let tests = [
        ("url", bookmark("")),
        ("url", bookmark("example.com/no-scheme")),
        ("url", bookmark("javascript:alert(1)")),
        ("url", bookmark(&format!("https://example.com/{}", long(8_192)))),
        (
            "title",
            Bookmark {
                title: long(1_025),
                ..good.clone()
            },
        ),
        (
            "title",
            Bookmark {
                title: long(10_000_000),
                ..good.clone()
            },
        ),
        (
            "title",
            Bookmark {
                title: "a\0b".to_owned(),
                ..good.clone()
            },
        ),
        (
            "description",
            Bookmark {
                description: long(65_537),
                ..good.clone()
            },
        ),
        (
            "note",
            Bookmark {
                note: "\0".to_owned(),
                ..good.clone()
            },
        ),
        (
            "tags[0]",
            Bookmark {
                tags: vec![long(65)],
                ..good.clone()
            },
        ),
        (
            "tags",
            Bookmark {
                tags: (0..101).map(|tag| tag.to_string()).collect(),
                ..good.clone()
            },
        ),
        (
            "collections[0].names",
            Bookmark {
                collections: vec![CollectionPath::default()],
                ..good.clone()
            },
        ),
    ];
    for (field, wrong) in tests {
        let status = ada.create(wrong).await.unwrap_err();

        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status}");
        assert_eq!(fields(&status), [field]);
    }
    assert!(ada.create(good).await.is_ok());
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let app = TestApp::start().await;
    let ada = app.person();

    for id in ["", "nonsense", &Uuid::now_v7().to_string()] {
        assert_eq!(ada.get(id).await.unwrap_err().code(), Code::NotFound, "{id}");
        assert_eq!(ada.delete(id, "").await.unwrap_err().code(), Code::NotFound, "{id}");
    }
}
