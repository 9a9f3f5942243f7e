//! What the service knows as the messages that it answers with.

use bookmesh_proto::bookmarks::v1 as proto;
use service::time::to_proto;

use crate::{
    domain::{Bookmark, CollectionPath},
    search::Snippet,
};

impl From<&Bookmark> for proto::Bookmark {
    fn from(bookmark: &Bookmark) -> Self {
        let content = &bookmark.content;
        proto::Bookmark {
            id: bookmark.id.to_string(),
            url: content.url.as_str().to_owned(),
            title: content.title.clone(),
            description: content.description.clone(),
            note: content.note.clone(),
            tags: content.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
            collections: content.collections.iter().map(proto::CollectionPath::from).collect(),
            to_read: content.to_read,
            private: content.private,
            create_time: Some(to_proto(bookmark.create_time)),
            update_time: Some(to_proto(bookmark.update_time)),
            etag: bookmark.etag(),
            version: bookmark.version,
        }
    }
}

impl From<&CollectionPath> for proto::CollectionPath {
    fn from(path: &CollectionPath) -> Self {
        proto::CollectionPath {
            names: path.names().to_vec(),
        }
    }
}

impl From<Snippet> for proto::Snippet {
    fn from(snippet: Snippet) -> Self {
        let highlights = snippet.highlights.into_iter();
        proto::Snippet {
            field: snippet.field.to_owned(),
            text: snippet.text,
            highlights: highlights
                .map(|range| proto::Highlight {
                    start: code_points(range.start),
                    end: code_points(range.end),
                })
                .collect(),
        }
    }
}

fn code_points(count: usize) -> i32 {
    i32::try_from(count).expect("a snippet is short")
}
