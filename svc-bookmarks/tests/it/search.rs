//! ListBookmarks with a query.

use std::time::{Duration, Instant};

use bookmesh_proto::bookmarks::v1::{Bookmark, CollectionPath, ListBookmarksRequest};
use tonic::Code;

use crate::app::{Person, TestApp, reason, titles};

async fn save(ada: &Person, url: &str, title: &str, tags: &[&str], folders: &[&str], description: &str) -> i64 {
    let bookmark = Bookmark {
        url: url.to_owned(),
        title: title.to_owned(),
        tags: tags.iter().map(ToString::to_string).collect(),
        description: description.to_owned(),
        collections: vec![CollectionPath {
            names: folders.iter().map(ToString::to_string).collect(),
        }],
        ..Bookmark::default()
    };
    ada.create(bookmark).await.unwrap().version
}

const TOKIO: &str = "Tokio tutorial";
const SERDE: &str = "Serde";
const MONDE: &str = "Le Monde: l'été à Besançon";
const JAPANESE: &str = "全文検索エンジン入門";
const KOREAN: &str = "한국어 검색을 배우기";
const GERMAN: &str = "Karte";

/// What is to be found by each query among [`save_links`], in no order.
pub(crate) const QUERIES: [(&str, &[&str]); 30] = [
    ("tokio", &[TOKIO, SERDE]),
    ("TOKIO", &[TOKIO, SERDE]),
    ("toki", &[TOKIO, SERDE]),
    ("\"toki\"", &[]),
    ("tokio rust", &[TOKIO, SERDE]),
    ("tokio tutorial", &[TOKIO]),
    ("tokio -tutorial", &[SERDE]),
    ("\"zero copy\"", &[SERDE]),
    ("zero copy", &[SERDE, GERMAN]),
    ("tag:rust", &[TOKIO, SERDE]),
    ("tag:RUST -tag:async", &[SERDE]),
    ("-tag:rust site:example", &[GERMAN, KOREAN, JAPANESE]),
    ("site:docs.rs", &[SERDE]),
    ("site:rs tokio", &[TOKIO, SERDE]),
    ("site:lemonde.fr", &[MONDE]),
    ("site:onde.fr", &[]),
    ("in:dev", &[TOKIO, SERDE]),
    ("in:\"rust lang\"", &[TOKIO]),
    ("in:actualites", &[MONDE]),
    ("ete besancon", &[MONDE]),
    ("L'ÉTÉ", &[MONDE]),
    ("検索", &[JAPANESE]),
    ("エンジン", &[JAPANESE]),
    ("索検", &[]),
    ("검색", &[KOREAN]),
    ("strasse", &[GERMAN]),
    ("docs.rs", &[SERDE]),
    ("lang", &[TOKIO]),
    ("nothing-like-it", &[]),
    ("?!", &[]),
];

/// Links in several languages; answers the version of the last.
pub(crate) async fn save_links(ada: &Person) -> i64 {
    let mut last = 0;
    for (url, title, tags, folders, description) in [
        (
            "https://tokio.rs/tutorial",
            "Tokio tutorial",
            &["Rust", "async"][..],
            &["Dev", "Rust Lang"][..],
            "Futures and tasks",
        ),
        (
            "https://docs.rs/serde",
            "Serde",
            &["rust"],
            &["Dev"],
            "Zero copy parsing, with tokio examples",
        ),
        (
            "https://www.lemonde.fr/",
            "Le Monde: l'été à Besançon",
            &["news"],
            &["Actualités"],
            "",
        ),
        (
            "https://ja.example/%E6%A4%9C%E7%B4%A2",
            "全文検索エンジン入門",
            &[],
            &["日本語"],
            "",
        ),
        ("https://ko.example/", "한국어 검색을 배우기", &[], &["K"], ""),
        ("https://de.example/stra%C3%9Fe", "Karte", &[], &["D"], "copy zero"),
    ] {
        last = save(ada, url, title, tags, folders, description).await;
    }
    last
}

#[tokio::test]
async fn queries_find_what_is_meant() {
    let app = TestApp::start().await;
    let ada = app.person();
    let last = save_links(&ada).await;

    // A title weighs more than a description.
    assert_eq!(ada.find("tokio", last).await, [TOKIO, SERDE]);
    for (query, expected) in QUERIES {
        assert_eq!(sorted(ada.find(query, 0).await), sorted(strings(expected)), "{query}");
    }
}

pub(crate) fn sorted(mut titles: Vec<String>) -> Vec<String> {
    titles.sort();
    titles
}

pub(crate) fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_saved_bookmark_is_findable_within_a_second_and_so_is_its_change() {
    let app = TestApp::start().await;
    let ada = app.person();
    let first = ada.save("https://example.com/warm", "warm up", &[]).await;
    ada.find("warm", first.version).await;

    let began = Instant::now();
    let saved = ada.save("https://example.com/", "quicksilver", &[]).await;
    assert_eq!(ada.find("quicksilver", saved.version).await, ["quicksilver"]);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());

    let changed = ada
        .update(
            Bookmark {
                title: "mercury".to_owned(),
                ..saved.clone()
            },
            &["title"],
        )
        .await
        .unwrap();
    assert_eq!(ada.find("mercury", changed.version).await, ["mercury"]);
    assert!(ada.find("quicksilver", 0).await.is_empty());

    ada.delete(&saved.id, "").await.unwrap();
    assert!(ada.find("mercury", 0).await.is_empty());
    assert_eq!(ada.find("mercury", changed.version + 1).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_change_that_does_not_come_is_said_to_be_behind() {
    let app = TestApp::start().await;
    let ada = app.person();
    let saved = ada.save("https://example.com/", "x", &[]).await;
    let request = ListBookmarksRequest {
        query: "x".to_owned(),
        min_version: saved.version + 1,
        ..ListBookmarksRequest::default()
    };

    let status = ada.list(request).await.unwrap_err();

    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Aborted, "INDEX_BEHIND")
    );
}

#[tokio::test]
async fn matches_show_where_the_words_are() {
    let app = TestApp::start().await;
    let ada = app.person();
    let version = save(
        &ada,
        "https://example.com/",
        "Ein Café in Köln",
        &["Café"],
        &["F"],
        "nothing",
    )
    .await;
    let request = ListBookmarksRequest {
        query: "cafe".to_owned(),
        min_version: version,
        ..ListBookmarksRequest::default()
    };

    let response = ada.list(request).await.unwrap();

    let found = &response.matches[0];
    assert_eq!(found.bookmark_id, response.bookmarks[0].id);
    assert!(found.score > 0.0);
    assert_eq!(found.snippets[0].field, "title");
    assert_eq!(
        (
            found.snippets[0].highlights[0].start,
            found.snippets[0].highlights[0].end
        ),
        (4, 8)
    );
    assert_eq!(found.snippets[1].field, "tags");
}

#[tokio::test]
async fn pages_by_relevance_stay_whole_while_others_write() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.person(), app.person());
    let mut last = 0;
    for index in 0..25 {
        let title = format!("{} page {index}", "needle ".repeat(1 + index % 5));
        last = ada
            .save(&format!("https://example.com/{index}"), &title, &[])
            .await
            .version;
    }
    let mut request = ListBookmarksRequest {
        query: "needle".to_owned(),
        page_size: 4,
        min_version: last,
        ..ListBookmarksRequest::default()
    };
    let mut seen = Vec::new();
    loop {
        let response = ada.list(request.clone()).await.unwrap();
        assert_eq!(response.total_size, 25);
        seen.extend(titles(&response));
        if response.next_page_token.is_empty() {
            break;
        }
        request.page_token = response.next_page_token;
        let other = format!("needle needle of bob {}", seen.len());
        let version = bob
            .save(&format!("https://bob.example/{}", seen.len()), &other, &[])
            .await
            .version;
        bob.find("needle", version).await;
    }

    assert_eq!(seen.len(), 25);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 25);
}
