//! Reading everything, owner by owner, for rebuilding the search index.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    domain::Bookmark,
    store::reads::{bookmarks, into_bookmarks},
};

/// The next owners by id. The only look across owners, and it shows their ids alone.
pub async fn next_owners(pool: &PgPool, after: Uuid, size: i64) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"SELECT owner_id AS "owner_id!" FROM list_owners($1, $2) AS owner_id"#,
        after,
        size
    )
    .fetch_all(pool)
    .await
}

/// The number of the owner's last change.
pub async fn version_of(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!("SELECT version FROM owners WHERE owner_id = $1", owner)
        .fetch_one(connection)
        .await
}

/// The owner's next bookmarks by id.
pub async fn page_by_id(
    connection: &mut PgConnection,
    owner: Uuid,
    after: Uuid,
    size: i64,
) -> anyhow::Result<Vec<Bookmark>> {
    let rows = bookmarks!(
        "FROM bookmark_details WHERE owner_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        owner,
        after,
        size
    );
    into_bookmarks(rows.fetch_all(connection).await?)
}
