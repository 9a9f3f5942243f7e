//! ListBookmarks without a query, ListTags, ListCollections.

use bookmesh_proto::bookmarks::v1::{
    Bookmark, CollectionPath, ListBookmarksRequest, ListCollectionsRequest, ListTagsRequest,
};
use tonic::Code;

use crate::app::{Person, TestApp, fields, titles};

async fn pages(ada: &Person, order_by: &str, query: &str) -> Vec<Vec<String>> {
    let mut request = ListBookmarksRequest {
        order_by: order_by.to_owned(),
        query: query.to_owned(),
        page_size: 2,
        ..ListBookmarksRequest::default()
    };
    let mut pages = Vec::new();
    loop {
        let response = ada.list(request.clone()).await.unwrap();
        assert_eq!(response.total_size, 5);
        pages.push(titles(&response));
        if response.next_page_token.is_empty() {
            return pages;
        }
        request.page_token = response.next_page_token;
    }
}

#[tokio::test]
async fn every_order_has_pages_that_hold_each_bookmark_once() {
    let app = TestApp::start().await;
    let ada = app.person();
    let mut last = Bookmark::default();
    for (index, title) in ["banana", "Éclair", "apple", "Banana", "cherry"].iter().enumerate() {
        last = ada.save(&format!("https://example.com/{index}"), title, &["all"]).await;
    }
    let first = ada
        .list(ListBookmarksRequest::default())
        .await
        .unwrap()
        .bookmarks
        .pop()
        .unwrap();
    let changed = ada
        .update(
            Bookmark {
                note: "changed".to_owned(),
                ..first
            },
            &["note"],
        )
        .await
        .unwrap();
    assert!(changed.version > last.version);
    let waited = ada.find("tag:all", changed.version).await;
    assert_eq!(waited.len(), 5);

    let newest = vec![vec!["cherry", "Banana"], vec!["apple", "Éclair"], vec!["banana"]];
    let oldest = vec![vec!["banana", "Éclair"], vec!["apple", "Banana"], vec!["cherry"]];
    let last_changed = vec![vec!["banana", "cherry"], vec!["Banana", "apple"], vec!["Éclair"]];
    let by_title = vec![vec!["apple", "banana"], vec!["Banana", "cherry"], vec!["Éclair"]];
    for query in ["", "tag:all"] {
        for (order, expected) in [
            ("create_time desc", &newest),
            ("create_time", &oldest),
            ("update_time desc", &last_changed),
            ("title", &by_title),
        ] {
            assert_eq!(pages(&ada, order, query).await, *expected, "{order} {query}");
        }
    }
}

#[tokio::test]
async fn wrong_requests_name_their_field() {
    let app = TestApp::start().await;
    let ada = app.person();
    for index in 0..3 {
        ada.save(&format!("https://example.com/{index}"), "x", &[]).await;
    }
    let page = ListBookmarksRequest {
        page_size: 1,
        ..ListBookmarksRequest::default()
    };
    let token = ada.list(page.clone()).await.unwrap().next_page_token;
    let tests = [
        (
            "page_size",
            ListBookmarksRequest {
                page_size: -1,
                ..page.clone()
            },
        ),
        (
            "order_by",
            ListBookmarksRequest {
                order_by: "nonsense".to_owned(),
                ..page.clone()
            },
        ),
        (
            "min_version",
            ListBookmarksRequest {
                min_version: -1,
                ..page.clone()
            },
        ),
        (
            "query",
            ListBookmarksRequest {
                query: "x".repeat(2_000),
                ..page.clone()
            },
        ),
        (
            "page_token",
            ListBookmarksRequest {
                page_token: "nonsense".to_owned(),
                ..page.clone()
            },
        ),
        (
            "page_token",
            ListBookmarksRequest {
                page_token: token.clone(),
                order_by: "title".to_owned(),
                ..page.clone()
            },
        ),
        (
            "page_token",
            ListBookmarksRequest {
                page_token: token.clone(),
                query: "x".to_owned(),
                ..page.clone()
            },
        ),
    ];
    for (field, request) in tests {
        let status = ada.list(request).await.unwrap_err();

        assert_eq!(
            (status.code(), fields(&status)),
            (Code::InvalidArgument, vec![field.to_owned()])
        );
    }
    let of_ada = ListBookmarksRequest {
        page_token: token,
        ..page
    };
    assert_eq!(
        app.person().list(of_ada).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

#[tokio::test]
async fn tags_and_collections_are_counted() {
    let app = TestApp::start().await;
    let ada = app.person();
    let path = |names: &[&str]| CollectionPath {
        names: names.iter().map(ToString::to_string).collect(),
    };
    let first = ada.save("https://example.com/1", "1", &["Rust", "web"]).await;
    ada.save("https://example.com/2", "2", &["rust"]).await;
    let inside = Bookmark {
        collections: vec![path(&["A", "B/C"]), path(&["A"])],
        ..first.clone()
    };
    ada.update(inside, &["collections"]).await.unwrap();

    let before = (tags(&ada).await, collections(&ada).await);
    ada.delete(&first.id, "").await.unwrap();
    let after = (tags(&ada).await, collections(&ada).await);

    assert_eq!(before.0, [("Rust".to_owned(), 2), ("web".to_owned(), 1)]);
    assert_eq!(
        before.1,
        [(vec!["A".to_owned()], 1), (vec!["A".to_owned(), "B/C".to_owned()], 1)]
    );
    assert_eq!(after.0, [("Rust".to_owned(), 1)]);
    assert_eq!(after.1.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [0, 0]);
}

/// Everything, in pages of one.
async fn tags(ada: &Person) -> Vec<(String, i32)> {
    let mut request = ListTagsRequest {
        page_size: 1,
        page_token: String::new(),
    };
    let mut tags = Vec::new();
    loop {
        let response = ada
            .bookmarks
            .clone()
            .list_tags(ada.request(request.clone()))
            .await
            .unwrap()
            .into_inner();
        tags.extend(response.tags.into_iter().map(|tag| (tag.name, tag.bookmark_count)));
        if response.next_page_token.is_empty() {
            return tags;
        }
        request.page_token = response.next_page_token;
    }
}

async fn collections(ada: &Person) -> Vec<(Vec<String>, i32)> {
    let mut request = ListCollectionsRequest {
        page_size: 1,
        page_token: String::new(),
    };
    let mut collections = Vec::new();
    loop {
        let response = ada
            .bookmarks
            .clone()
            .list_collections(ada.request(request.clone()))
            .await
            .unwrap()
            .into_inner();
        collections.extend(
            response
                .collections
                .into_iter()
                .map(|one| (one.path, one.bookmark_count)),
        );
        if response.next_page_token.is_empty() {
            return collections;
        }
        request.page_token = response.next_page_token;
    }
}
