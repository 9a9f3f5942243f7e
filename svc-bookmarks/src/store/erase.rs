//! Deleting all rows of an owner.

use sqlx::PgConnection;
use uuid::Uuid;

/// How many rows there were.
pub struct Erased {
    pub bookmarks: u64,
    pub collections: u64,
    pub tags: u64,
    pub batches: u64,
}

/// Tags and collections go first, so that the trigger that counts has nothing left to count in.
pub async fn erase(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<Erased> {
    let tags = sqlx::query!("DELETE FROM tags WHERE owner_id = $1", owner)
        .execute(&mut *connection)
        .await?;
    let collections = sqlx::query!("DELETE FROM collections WHERE owner_id = $1", owner)
        .execute(&mut *connection)
        .await?;
    let batches = sqlx::query!("DELETE FROM upsert_batches WHERE owner_id = $1", owner)
        .execute(&mut *connection)
        .await?;
    let bookmarks = sqlx::query!("DELETE FROM bookmarks WHERE owner_id = $1", owner)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM owners WHERE owner_id = $1", owner)
        .execute(connection)
        .await?;
    Ok(Erased {
        bookmarks: bookmarks.rows_affected(),
        collections: collections.rows_affected(),
        tags: tags.rows_affected(),
        batches: batches.rows_affected(),
    })
}
