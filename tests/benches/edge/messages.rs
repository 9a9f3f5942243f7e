//! What is answered: one bookmark, and twenty of them, of the size that people have.

use bookmesh_proto::bookmarks::v1::{Bookmark, CollectionPath, ListBookmarksResponse};
use prost_types::Timestamp;

/// The one that everybody asks for.
pub const ID: &str = "01a209a8-369a-75a2-a99f-4c465a3b5b9d";
/// Its etag, as a header has it.
pub const ETAG: &str = "\"117\"";

pub fn bookmark(number: u32) -> Bookmark {
    let saved = Timestamp {
        seconds: 1_700_000_000 + i64::from(number),
        nanos: 123_456_000,
    };
    let names = ["Programming", "Rust", "Asynchronous"].map(str::to_owned).to_vec();
    Bookmark {
        id: ID.to_owned(),
        url: format!("https://rust-lang.github.io/async-book/{number:02}_chapter.html?from=search"),
        title: "Asynchronous Programming in Rust: futures, pinning and executors".to_owned(),
        description: "How futures are polled, what pinning is for and how an executor wakes what can go on.".repeat(2),
        note: String::new(),
        tags: ["rust", "async", "book", "to-read"].map(str::to_owned).to_vec(),
        collections: vec![CollectionPath { names }],
        to_read: true,
        private: false,
        create_time: Some(saved),
        update_time: Some(saved),
        etag: ETAG.trim_matches('"').to_owned(),
        version: 117,
    }
}

pub fn page() -> ListBookmarksResponse {
    ListBookmarksResponse {
        bookmarks: (0..20).map(bookmark).collect(),
        next_page_token: "AbCdEfGhIjKlMnOpQrStUvWxYz".to_owned(),
        total_size: 100_000,
        ..ListBookmarksResponse::default()
    }
}
