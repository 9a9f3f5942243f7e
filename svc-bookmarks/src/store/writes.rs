//! Writing bookmarks, one or five hundred at once.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    domain::{Bookmark, Content},
    store::CollectionIds,
};

/// Lists travel to Postgres as one text each: an array of arrays would need all to be of one length. Tags have no
/// control characters.
const SEPARATOR: &str = "\u{1f}";

/// Locks the owner until the end of the transaction, and answers the number of this change.
pub async fn advance(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "INSERT INTO owners (owner_id, version) VALUES ($1, 1)
         ON CONFLICT (owner_id) DO UPDATE SET version = owners.version + 1
         RETURNING version",
        owner
    )
    .fetch_one(connection)
    .await
}

/// Locks the owner as [`advance`] does, for what may turn out to change nothing; answers the last change's number.
pub async fn lock(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "INSERT INTO owners (owner_id, version) VALUES ($1, 0)
         ON CONFLICT (owner_id) DO UPDATE SET version = owners.version
         RETURNING version",
        owner
    )
    .fetch_one(connection)
    .await
}

/// Adds new bookmarks and answers how many: those whose identity the owner has already are left out.
pub async fn insert(
    connection: &mut PgConnection,
    owner: Uuid,
    bookmarks: &[Bookmark],
    collections: &CollectionIds,
) -> sqlx::Result<u64> {
    let columns = Columns::of(bookmarks, collections);
    let result = sqlx::query!(
        "INSERT INTO bookmarks (
             owner_id, id, identity, url, title, title_key, description, note, tags, tag_keys, collection_ids,
             to_read, private, create_time, update_time, version
         )
         SELECT
             $1, id, identity, url, title, title_key, description, note, string_to_array(tags, $17),
             string_to_array(tag_keys, $17), string_to_array(collection_ids, $17)::uuid[], to_read, private,
             create_time, update_time, version
         FROM unnest(
             $2::uuid[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
             $10::text[], $11::text[], $12::bool[], $13::bool[], $14::timestamptz[], $15::timestamptz[], $16::bigint[]
         ) AS new (
             id, identity, url, title, title_key, description, note, tags, tag_keys, collection_ids,
             to_read, private, create_time, update_time, version
         )
         ON CONFLICT (owner_id, identity) DO NOTHING",
        owner,
        &columns.ids,
        &columns.identities,
        &columns.urls as &[&str],
        &columns.titles as &[&str],
        &columns.title_keys,
        &columns.descriptions as &[&str],
        &columns.notes as &[&str],
        &columns.tags,
        &columns.tag_keys,
        &columns.collection_ids,
        &columns.to_read,
        &columns.private,
        &columns.create_times,
        &columns.update_times,
        &columns.versions,
        SEPARATOR,
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected())
}

/// Writes changed bookmarks over what is there. A URL that the owner has saved already is a unique violation.
pub async fn update(
    connection: &mut PgConnection,
    owner: Uuid,
    bookmarks: &[Bookmark],
    collections: &CollectionIds,
) -> sqlx::Result<()> {
    let columns = Columns::of(bookmarks, collections);
    sqlx::query!(
        "UPDATE bookmarks SET
             identity = changed.identity, url = changed.url, title = changed.title, title_key = changed.title_key,
             description = changed.description, note = changed.note, tags = string_to_array(changed.tags, $17),
             tag_keys = string_to_array(changed.tag_keys, $17),
             collection_ids = string_to_array(changed.collection_ids, $17)::uuid[], to_read = changed.to_read,
             private = changed.private, create_time = changed.create_time, update_time = changed.update_time,
             version = changed.version
         FROM unnest(
             $2::uuid[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
             $10::text[], $11::text[], $12::bool[], $13::bool[], $14::timestamptz[], $15::timestamptz[], $16::bigint[]
         ) AS changed (
             id, identity, url, title, title_key, description, note, tags, tag_keys, collection_ids,
             to_read, private, create_time, update_time, version
         )
         WHERE bookmarks.owner_id = $1 AND bookmarks.id = changed.id",
        owner,
        &columns.ids,
        &columns.identities,
        &columns.urls as &[&str],
        &columns.titles as &[&str],
        &columns.title_keys,
        &columns.descriptions as &[&str],
        &columns.notes as &[&str],
        &columns.tags,
        &columns.tag_keys,
        &columns.collection_ids,
        &columns.to_read,
        &columns.private,
        &columns.create_times,
        &columns.update_times,
        &columns.versions,
        SEPARATOR,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether there was something to delete.
pub async fn delete(connection: &mut PgConnection, owner: Uuid, id: Uuid) -> sqlx::Result<bool> {
    let result = sqlx::query!("DELETE FROM bookmarks WHERE owner_id = $1 AND id = $2", owner, id)
        .execute(connection)
        .await?;
    Ok(result.rows_affected() > 0)
}

/// Bookmarks as the columns that `unnest` reads.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    identities: Vec<Vec<u8>>,
    urls: Vec<&'a str>,
    titles: Vec<&'a str>,
    title_keys: Vec<String>,
    descriptions: Vec<&'a str>,
    notes: Vec<&'a str>,
    tags: Vec<String>,
    tag_keys: Vec<String>,
    collection_ids: Vec<String>,
    to_read: Vec<bool>,
    private: Vec<bool>,
    create_times: Vec<time::OffsetDateTime>,
    update_times: Vec<time::OffsetDateTime>,
    versions: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(bookmarks: &'a [Bookmark], collections: &CollectionIds) -> Columns<'a> {
        let mut columns = Columns::default();
        for bookmark in bookmarks {
            columns.ids.push(bookmark.id);
            columns.create_times.push(bookmark.create_time);
            columns.update_times.push(bookmark.update_time);
            columns.versions.push(bookmark.version);
            columns.push(&bookmark.content, collections);
        }
        columns
    }

    fn push(&mut self, content: &'a Content, collections: &CollectionIds) {
        self.identities.push(content.url.identity().as_bytes().to_vec());
        self.urls.push(content.url.as_str());
        self.titles.push(&content.title);
        self.title_keys.push(content.title_key());
        self.descriptions.push(&content.description);
        self.notes.push(&content.note);
        self.tags
            .push(joined(content.tags.iter().map(|tag| tag.as_str().to_owned())));
        self.tag_keys.push(joined(content.tags.iter().map(|tag| tag.key())));
        self.collection_ids
            .push(joined(collections.of(&content.collections).map(|id| id.to_string())));
        self.to_read.push(content.to_read);
        self.private.push(content.private);
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<String>>().join(SEPARATOR)
}
