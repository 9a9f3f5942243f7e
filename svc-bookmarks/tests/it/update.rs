//! UpdateBookmark and DeleteBookmark.

use bookmesh_proto::bookmarks::v1::{Bookmark, CollectionPath, UpdateBookmarkRequest};
use tonic::Code;

use crate::app::{TestApp, fields, reason};

#[tokio::test]
async fn only_what_the_mask_names_changes() {
    let app = TestApp::start().await;
    let ada = app.person();
    let saved = ada.save("https://example.com/", "Old", &["a"]).await;
    let change = Bookmark {
        id: saved.id.clone(),
        title: "New".to_owned(),
        note: "not named".to_owned(),
        collections: vec![CollectionPath {
            names: vec!["F".to_owned()],
        }],
        ..Bookmark::default()
    };

    let changed = ada.update(change, &["title", "collections", "tags"]).await.unwrap();

    assert_eq!((changed.title.as_str(), changed.note.as_str()), ("New", ""));
    assert!(changed.tags.is_empty());
    assert_eq!(changed.collections.len(), 1);
    assert_eq!(changed.create_time, saved.create_time);
    assert!(changed.version > saved.version && changed.etag != saved.etag);
    assert_eq!(ada.get(&saved.id).await.unwrap(), changed);
}

#[tokio::test]
async fn without_a_mask_what_is_given_changes() {
    let app = TestApp::start().await;
    let ada = app.person();
    let saved = ada.save("https://example.com/", "Old", &["a"]).await;
    let bookmark = Bookmark {
        id: saved.id.clone(),
        note: "Note".to_owned(),
        ..Bookmark::default()
    };

    let request = ada.request(UpdateBookmarkRequest {
        bookmark: Some(bookmark),
        update_mask: None,
    });
    let changed = ada
        .bookmarks
        .clone()
        .update_bookmark(request)
        .await
        .unwrap()
        .into_inner();

    assert_eq!((changed.title.as_str(), changed.note.as_str()), ("Old", "Note"));
    assert_eq!(changed.tags, ["a"]);
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_none() {
    let app = TestApp::start().await;
    let ada = app.person();
    let saved = ada.save("https://example.com/", "Same", &["a"]).await;

    let again = ada.update(saved.clone(), &["*"]).await.unwrap();

    assert_eq!(again, saved);
}

#[tokio::test]
async fn an_old_etag_changes_nothing() {
    let app = TestApp::start().await;
    let ada = app.person();
    let old = ada.save("https://example.com/", "Old", &[]).await;
    let new = ada
        .update(
            Bookmark {
                title: "New".to_owned(),
                ..old.clone()
            },
            &["title"],
        )
        .await
        .unwrap();

    let update = ada
        .update(
            Bookmark {
                title: "Late".to_owned(),
                ..old.clone()
            },
            &["title"],
        )
        .await
        .unwrap_err();
    let delete = ada.delete(&old.id, &old.etag).await.unwrap_err();

    for status in [update, delete] {
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Aborted, "ETAG_MISMATCH")
        );
    }
    ada.delete(&new.id, &new.etag).await.unwrap();
    assert_eq!(ada.get(&new.id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(ada.delete(&new.id, "").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_url_cannot_become_one_that_is_saved() {
    let app = TestApp::start().await;
    let ada = app.person();
    ada.save("https://example.com/a", "A", &[]).await;
    let b = ada.save("https://example.com/b", "B", &[]).await;

    let status = ada
        .update(
            Bookmark {
                url: "https://example.com/a#x".to_owned(),
                ..b.clone()
            },
            &["url"],
        )
        .await
        .unwrap_err();
    let moved = ada
        .update(
            Bookmark {
                url: "https://example.com/b#x".to_owned(),
                ..b.clone()
            },
            &["url"],
        )
        .await
        .unwrap();

    assert_eq!(reason(&status), "BOOKMARK_EXISTS");
    assert_eq!(moved.url, "https://example.com/b#x");
}

#[tokio::test]
async fn wrong_masks_and_values_are_named() {
    let app = TestApp::start().await;
    let ada = app.person();
    let saved = ada.save("https://example.com/", "Old", &[]).await;
    let bad = Bookmark {
        id: saved.id.clone(),
        url: "no scheme".to_owned(),
        ..Bookmark::default()
    };

    for (path, field) in [("nonsense", "update_mask"), ("version", "update_mask"), ("url", "url")] {
        let status = ada.update(bad.clone(), &[path]).await.unwrap_err();

        assert_eq!(
            (status.code(), fields(&status)),
            (Code::InvalidArgument, vec![field.to_owned()]),
            "{path}"
        );
    }
    let unknown = Bookmark {
        id: "nonsense".to_owned(),
        ..Bookmark::default()
    };
    assert_eq!(
        ada.update(unknown, &["title"]).await.unwrap_err().code(),
        Code::NotFound
    );
}
