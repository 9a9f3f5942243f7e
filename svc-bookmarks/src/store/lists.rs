//! Tags and collections, a page at a time.

use sqlx::PgConnection;
use uuid::Uuid;

pub struct TagRow {
    pub key: String,
    pub name: String,
    pub bookmark_count: i64,
}

pub struct CollectionRow {
    pub id: Uuid,
    pub path: Vec<String>,
    pub bookmark_count: i64,
}

/// The most used first; those used as often by name.
pub async fn list_tags(
    connection: &mut PgConnection,
    owner: Uuid,
    after_count: i64,
    after_key: &str,
    size: i64,
) -> sqlx::Result<Vec<TagRow>> {
    sqlx::query_as!(
        TagRow,
        "SELECT key, name, bookmark_count FROM tags
         WHERE owner_id = $1 AND bookmark_count > 0
           AND (bookmark_count < $2 OR (bookmark_count = $2 AND key > $3))
         ORDER BY bookmark_count DESC, key LIMIT $4",
        owner,
        after_count,
        after_key,
        size
    )
    .fetch_all(connection)
    .await
}

/// In the order of their paths, behind the collection `after`.
pub async fn list_collections(
    connection: &mut PgConnection,
    owner: Uuid,
    after: Option<Uuid>,
    size: i64,
) -> sqlx::Result<Vec<CollectionRow>> {
    sqlx::query_as!(
        CollectionRow,
        "SELECT id, path, bookmark_count FROM collections
         WHERE owner_id = $1
           AND ($2::uuid IS NULL OR path > (SELECT path FROM collections WHERE owner_id = $1 AND id = $2))
         ORDER BY path LIMIT $3",
        owner,
        after,
        size
    )
    .fetch_all(connection)
    .await
}
