//! UpsertBookmarks.

use bookmesh_proto::bookmarks::v1::{CollectionPath, UpsertItem, upsert_result::Outcome};
use prost_types::Timestamp;
use tonic::Code;

use crate::app::{TestApp, bookmark, fields};

fn item(url: &str, tags: &[&str], folders: &[&str]) -> UpsertItem {
    UpsertItem {
        url: url.to_owned(),
        title: "Title".to_owned(),
        tags: tags.iter().map(ToString::to_string).collect(),
        collection: Some(CollectionPath {
            names: folders.iter().map(ToString::to_string).collect(),
        }),
        ..UpsertItem::default()
    }
}

#[tokio::test]
async fn links_are_created_merged_unchanged_and_skipped_with_a_reason() {
    let app = TestApp::start().await;
    let ada = app.person();
    let saved = ada.save("https://example.com/saved", "", &["old"]).await;
    let early = Some(Timestamp {
        seconds: 1_000_000_000,
        nanos: 0,
    });
    let items = vec![
        item("https://example.com/new", &["a"], &["A", "B"]),
        UpsertItem {
            create_time: early,
            ..item("https://example.com/saved#x", &["new"], &["C"])
        },
        item("https://example.com/new", &["A", "b"], &["D"]),
        item("https://example.com/new", &["a"], &["A", "B"]),
        item("javascript:void(0)", &[], &[]),
        item("relative/link", &[], &[]),
    ];

    let response = ada.upsert("import/1/1", items).await.unwrap();

    let outcomes: Vec<Outcome> = response.results.iter().map(|result| result.outcome()).collect();
    let expected = [
        Outcome::Created,
        Outcome::Merged,
        Outcome::Merged,
        Outcome::Unchanged,
        Outcome::Skipped,
        Outcome::Skipped,
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(
        response.results[4].reason,
        "url must be a link: the scheme javascript: cannot be saved"
    );
    assert_eq!(
        response.results[5].reason,
        "url must begin with a scheme, such as https://"
    );
    let new = ada.get(&response.results[0].bookmark_id).await.unwrap();
    assert_eq!(new.tags, ["a", "b"]);
    assert_eq!(new.collections.len(), 2);
    assert_eq!(new.version, response.version);
    let merged = ada.get(&saved.id).await.unwrap();
    assert_eq!((merged.title.as_str(), merged.create_time), ("Title", early));
    assert_eq!(merged.tags, ["old", "new"]);
    assert_eq!(merged.url, "https://example.com/saved");
    assert_eq!(ada.find("tag:b", response.version).await, ["Title"]);
}

#[tokio::test]
async fn a_batch_sent_twice_is_done_once_and_answered_twice() {
    let app = TestApp::start().await;
    let ada = app.person();
    let items = vec![
        item("https://example.com/1", &[], &[]),
        item("https://example.com/2", &[], &[]),
    ];

    let first = ada.upsert("import/1/1", items.clone()).await.unwrap();
    let second = ada.upsert("import/1/1", items.clone()).await.unwrap();
    let again = ada.upsert("import/2/1", items).await.unwrap();

    assert_eq!(first, second);
    assert!(
        again
            .results
            .iter()
            .all(|result| result.outcome() == Outcome::Unchanged)
    );
    assert_eq!(again.version, first.version);
}

#[tokio::test]
async fn texts_that_do_not_fit_are_made_to_fit() {
    let app = TestApp::start().await;
    let ada = app.person();
    let long = UpsertItem {
        title: format!("a\0{}", "ä".repeat(1_000)),
        create_time: Some(Timestamp {
            seconds: i64::MAX,
            nanos: -1,
        }),
        ..item("https://example.com/", &["a\u{1f}b", " ", "c\0"], &["", "F"])
    };

    let response = ada.upsert("import/1/1", vec![long]).await.unwrap();

    let saved = ada.get(&response.results[0].bookmark_id).await.unwrap();
    assert_eq!(saved.title.len(), 1_023);
    assert_eq!(saved.tags, ["ab", "c"]);
    assert_eq!(saved.collections[0].names, ["(unnamed)", "F"]);
}

#[tokio::test]
async fn five_hundred_links_in_a_hundred_folders_come_in_one_batch() {
    let app = TestApp::start().await;
    let ada = app.person();
    let items: Vec<UpsertItem> = (0..500)
        .map(|index| {
            let folder = format!("Folder {}", index % 100);
            UpsertItem {
                description: "long ".repeat(1_000),
                ..item(
                    &format!("https://example.com/{index}"),
                    &["import"],
                    &["Imported", &folder],
                )
            }
        })
        .collect();

    let response = ada.upsert("import/1/1", items.clone()).await.unwrap();
    let found = ada.find("tag:import", response.version).await;
    let too_many = [items, vec![item("https://example.com/", &[], &[])]].concat();
    let refused = ada.upsert("import/1/2", too_many).await.unwrap_err();
    let nameless = ada.upsert("", Vec::new()).await.unwrap_err();

    assert!(
        response
            .results
            .iter()
            .all(|result| result.outcome() == Outcome::Created)
    );
    assert_eq!(found.len(), 20);
    assert_eq!(fields(&refused), ["items"]);
    assert_eq!(fields(&nameless), ["batch_id"]);
}

#[tokio::test]
async fn users_cannot_call_it() {
    let app = TestApp::start().await;
    let ada = app.person();
    let mut client =
        bookmesh_proto::bookmarks::v1::bookmark_internal_service_client::BookmarkInternalServiceClient::connect(
            app.address.clone(),
        )
        .await
        .unwrap();

    let request = ada.request(bookmesh_proto::bookmarks::v1::UpsertBookmarksRequest::default());
    let status = client.upsert_bookmarks(request).await.unwrap_err();

    assert!(
        matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied),
        "{status}"
    );
    assert!(ada.create(bookmark("https://example.com/")).await.is_ok());
}
