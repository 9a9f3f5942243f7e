//! Without an index: the list is looked through, and the answer says so.

use std::collections::HashSet;

use bookmesh_proto::bookmarks::v1::{ListBookmarksRequest, UpsertItem};
use devstack::shared;

use crate::{
    app::{TestApp, titles},
    search::{QUERIES, save_links, sorted, strings},
};

fn request(query: &str, page_size: i32, page_token: &str) -> ListBookmarksRequest {
    ListBookmarksRequest {
        query: query.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
        ..ListBookmarksRequest::default()
    }
}

#[tokio::test]
async fn queries_find_the_same_without_an_index() {
    let app = TestApp::start_without_nats().await;
    let (ada, bob) = (app.person(), app.person());
    let last = save_links(&ada).await;

    for (query, expected) in QUERIES {
        let response = ada.list(request(query, 0, "")).await.unwrap();
        assert!(response.degraded, "{query}");
        assert_eq!(sorted(titles(&response)), sorted(strings(expected)), "{query}");
        assert_eq!(response.matches.len(), response.bookmarks.len());
        assert_eq!((response.total_size, response.next_page_token.as_str()), (0, ""));
    }
    let own_write = ListBookmarksRequest {
        min_version: last,
        ..request("tokio", 0, "")
    };
    let response = ada.list(own_write).await.unwrap();
    assert_eq!(titles(&response), ["Serde", "Tokio tutorial"], "the newest first");
    assert_eq!(response.matches[1].snippets[0].field, "title");
    assert!(bob.list(request("tokio", 0, "")).await.unwrap().bookmarks.is_empty());
    assert!(!ada.list(request("", 0, "")).await.unwrap().degraded);
}

#[tokio::test]
async fn pages_go_on_as_they_began_when_the_index_is_back() {
    let app = TestApp::start_without_nats().await;
    let ada = app.person();
    for index in 0..12 {
        ada.save(&format!("https://example.com/{index}"), &format!("found {index}"), &[])
            .await;
        ada.save(&format!("https://example.com/not/{index}"), "other", &[])
            .await;
    }
    let first = ada.list(request("found", 5, "")).await.unwrap();
    assert_eq!(
        titles(&first),
        ["found 11", "found 10", "found 9", "found 8", "found 7"]
    );

    let app = app.restart_with(&shared().await.nats_url()).await;
    let ada = app.again(&ada);
    let mut seen: HashSet<String> = titles(&first).into_iter().collect();
    let mut token = first.next_page_token;
    while !token.is_empty() {
        let page = ada.list(request("found", 5, &token)).await.unwrap();
        assert!(page.degraded);
        for title in titles(&page) {
            assert!(seen.insert(title), "no page repeats another");
        }
        token = page.next_page_token;
    }

    assert_eq!(seen.len(), 12);
    let anew = ada.list(request("found", 5, "")).await.unwrap();
    assert!(!anew.degraded);
    assert_eq!(anew.total_size, 12);
}

#[tokio::test]
async fn a_call_looks_at_so_many_and_the_next_page_goes_on() {
    let app = TestApp::start_without_nats().await;
    let ada = app.person();
    ada.save("https://example.com/oldest", "needle", &[]).await;
    for batch in 0..11 {
        let items = (0..500).map(|index| UpsertItem {
            url: format!("https://example.com/{batch}/{index}"),
            title: "hay".to_owned(),
            ..UpsertItem::default()
        });
        ada.upsert(&format!("batch {batch}"), items.collect()).await.unwrap();
    }

    let first = ada.list(request("needle", 0, "")).await.unwrap();
    let second = ada.list(request("needle", 0, &first.next_page_token)).await.unwrap();

    assert!(first.bookmarks.is_empty() && !first.next_page_token.is_empty());
    assert_eq!(titles(&second), ["needle"]);
    assert_eq!(second.next_page_token, "");
}

#[tokio::test]
async fn a_call_looks_at_fewer_when_they_are_long() {
    let app = TestApp::start_without_nats().await;
    let ada = app.person();
    ada.save("https://example.com/oldest", "needle", &[]).await;
    let items = (0..400).map(|index| UpsertItem {
        url: format!("https://example.com/{index}"),
        description: "hay ".repeat(15_000),
        ..UpsertItem::default()
    });
    ada.upsert("batch", items.collect()).await.unwrap();

    let first = ada.list(request("needle", 0, "")).await.unwrap();
    let second = ada.list(request("needle", 0, &first.next_page_token)).await.unwrap();

    assert!(first.bookmarks.is_empty() && !first.next_page_token.is_empty());
    assert_eq!(titles(&second), ["needle"]);
}
