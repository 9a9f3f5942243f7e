//! Events: what svc-bookmarks says has happened, and reading it back for the index.

use anyhow::Context;
use bookmesh_proto::bookmarks::v1::{
    self as proto, BookmarkCreated, BookmarkDeleted, BookmarkUpdated, DeletedBookmark,
};
use outbox::NewEvent;
use prost::Message;
use service::time::from_proto;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{Bookmark, CollectionPath, Content, SavedUrl, Tag};

const CREATED: &str = "bookmesh.bookmarks.v1.BookmarkCreated";
const UPDATED: &str = "bookmesh.bookmarks.v1.BookmarkUpdated";
const DELETED: &str = "bookmesh.bookmarks.v1.BookmarkDeleted";
/// NATS takes 1 MiB with the headers. One bookmark is smaller than this, its lists' framing aside.
const MAX_PAYLOAD_BYTES: usize = 512 * 1024;
pub const ALL_SUBJECTS: &str = "evt.bookmarks.>";

/// What happened to one bookmark.
pub enum Change {
    Saved(Box<Bookmark>),
    Deleted {
        id: Uuid,
        version: i64,
    },
    /// The owner was deleted, with all that they had.
    OwnerDeleted,
}

pub async fn put_created(
    connection: &mut PgConnection,
    owner: Uuid,
    version: i64,
    bookmarks: &[Bookmark],
) -> sqlx::Result<()> {
    for bookmarks in chunks(bookmarks) {
        let event = BookmarkCreated {
            owner_id: owner.to_string(),
            bookmarks,
        };
        put(
            connection,
            CREATED,
            "bookmark_created",
            owner,
            version,
            event.encode_to_vec(),
        )
        .await?;
    }
    Ok(())
}

pub async fn put_updated(
    connection: &mut PgConnection,
    owner: Uuid,
    version: i64,
    bookmarks: &[Bookmark],
) -> sqlx::Result<()> {
    for bookmarks in chunks(bookmarks) {
        let event = BookmarkUpdated {
            owner_id: owner.to_string(),
            bookmarks,
        };
        put(
            connection,
            UPDATED,
            "bookmark_updated",
            owner,
            version,
            event.encode_to_vec(),
        )
        .await?;
    }
    Ok(())
}

pub async fn put_deleted(connection: &mut PgConnection, owner: Uuid, version: i64, id: Uuid) -> sqlx::Result<()> {
    let bookmarks = vec![DeletedBookmark {
        id: id.to_string(),
        version,
    }];
    let event = BookmarkDeleted {
        owner_id: owner.to_string(),
        bookmarks,
    };
    put(
        connection,
        DELETED,
        "bookmark_deleted",
        owner,
        version,
        event.encode_to_vec(),
    )
    .await
}

/// What an event says of bookmarks.
pub fn changes(event_type: &str, payload: &[u8]) -> anyhow::Result<Vec<Change>> {
    match event_type {
        CREATED => saved(BookmarkCreated::decode(payload)?.bookmarks),
        UPDATED => saved(BookmarkUpdated::decode(payload)?.bookmarks),
        DELETED => {
            let deleted = BookmarkDeleted::decode(payload)?.bookmarks.into_iter();
            deleted
                .map(|one| {
                    Ok(Change::Deleted {
                        id: one.id.parse()?,
                        version: one.version,
                    })
                })
                .collect()
        }
        erasure::ANSWER => Ok(vec![Change::OwnerDeleted]),
        // Other events of this service are none of the index's business.
        _ => Ok(Vec::new()),
    }
}

async fn put(
    connection: &mut PgConnection,
    event_type: &'static str,
    name: &str,
    owner: Uuid,
    version: i64,
    payload: Vec<u8>,
) -> sqlx::Result<()> {
    let subject = outbox::subject("bookmarks", name, owner);
    let event = NewEvent {
        subject,
        event_type,
        owner_id: owner,
        aggregate_id: owner,
        version,
        payload,
    };
    outbox::put(connection, event).await?;
    Ok(())
}

fn chunks(bookmarks: &[Bookmark]) -> Vec<Vec<proto::Bookmark>> {
    let mut chunks: Vec<Vec<proto::Bookmark>> = Vec::new();
    let mut bytes = 0;
    for bookmark in bookmarks {
        let message = proto::Bookmark::from(bookmark);
        bytes += message.encoded_len();
        match chunks.last_mut() {
            Some(chunk) if bytes <= MAX_PAYLOAD_BYTES => chunk.push(message),
            _ => {
                bytes = message.encoded_len();
                chunks.push(vec![message]);
            }
        }
    }
    chunks
}

fn saved(bookmarks: Vec<proto::Bookmark>) -> anyhow::Result<Vec<Change>> {
    bookmarks
        .into_iter()
        .map(|message| Ok(Change::Saved(Box::new(bookmark(message)?))))
        .collect()
}

fn bookmark(message: proto::Bookmark) -> anyhow::Result<Bookmark> {
    let url = SavedUrl::parse("url", &message.url).map_err(|violation| anyhow::anyhow!(violation.description))?;
    let time = |field: &'static str, value: Option<prost_types::Timestamp>| {
        let value = value.with_context(|| format!("{field} is missing"))?;
        from_proto(field, &value).map_err(|violation| anyhow::anyhow!(violation.description))
    };
    Ok(Bookmark {
        id: message.id.parse().context("reading the id")?,
        content: Content {
            url,
            title: message.title,
            description: message.description,
            note: message.note,
            tags: message.tags.into_iter().map(Tag::from_record).collect(),
            collections: message
                .collections
                .into_iter()
                .map(|path| CollectionPath::from_record(path.names))
                .collect(),
            to_read: message.to_read,
            private: message.private,
        },
        create_time: time("create_time", message.create_time)?,
        update_time: time("update_time", message.update_time)?,
        version: message.version,
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::domain::ImportedLink;

    fn bookmark_of(description: &str) -> Bookmark {
        let link = ImportedLink::parse(
            "https://example.com/",
            "Title",
            description,
            &["a".to_owned()],
            &["F".to_owned()],
        );
        let moment = datetime!(2026-11-23 12:00 UTC);
        Bookmark::new(Uuid::from_u128(7), link.unwrap().content, moment, moment, 3)
    }

    #[test]
    fn a_bookmark_survives_its_event() {
        let saved = bookmark_of("text");
        let event = BookmarkCreated {
            owner_id: String::new(),
            bookmarks: vec![proto::Bookmark::from(&saved)],
        };

        let changes = changes(CREATED, &event.encode_to_vec()).unwrap();

        let [Change::Saved(read)] = changes.as_slice() else {
            panic!("one change")
        };
        assert_eq!(**read, saved);
    }

    #[test]
    fn events_stay_below_the_limit_of_nats() {
        let bookmarks: Vec<Bookmark> = (0..30).map(|_| bookmark_of(&"x".repeat(65_000))).collect();

        let chunks = chunks(&bookmarks);

        assert_eq!(chunks.iter().map(Vec::len).sum::<usize>(), 30);
        assert!(
            chunks
                .iter()
                .all(|chunk| chunk.iter().map(Message::encoded_len).sum::<usize>() <= MAX_PAYLOAD_BYTES)
        );
    }
}
