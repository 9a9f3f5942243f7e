//! All SQL.

use sqlx::{PgConnection, PgPool, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Counts;

/// Until the end of the transaction nobody else writes for the owner; who has begun to is waited for.
pub(crate) async fn keep_others_out(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended('data of ' || current_schema() || $1, 0))",
        owner.to_string()
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// What was deleted before; nothing when this is the first time.
pub(crate) async fn counts_of(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<Counts> {
    let counts = sqlx::query_scalar!(
        r#"SELECT counts AS "counts: Json<Counts>" FROM deleted_owners WHERE owner_id = $1"#,
        owner
    )
    .fetch_optional(connection)
    .await?;
    Ok(counts.map(|counts| counts.0).unwrap_or_default())
}

/// From the commit on, writes for the owner are refused.
pub(crate) async fn remember(
    connection: &mut PgConnection,
    owner: Uuid,
    counts: &Counts,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO deleted_owners (owner_id, deleted_at, counts) VALUES ($1, $2, $3)
         ON CONFLICT (owner_id) DO UPDATE SET counts = excluded.counts, settled_at = NULL",
        owner,
        now,
        Json(counts) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Not those of the last moments: the relay may have events of theirs in its hands.
pub(crate) async fn unsettled(pool: &PgPool, size: i64) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT owner_id FROM deleted_owners
         WHERE settled_at IS NULL AND deleted_at < now() - interval '5 seconds' ORDER BY deleted_at LIMIT $1",
        size
    )
    .fetch_all(pool)
    .await
}

pub(crate) async fn settle(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE deleted_owners SET settled_at = now() WHERE owner_id = $1",
        owner
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The next deleted owners by id, for what is not in Postgres and is made again from it.
pub async fn deleted_owners(pool: &PgPool, after: Uuid, size: i64) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "SELECT owner_id FROM deleted_owners WHERE owner_id > $1 ORDER BY owner_id LIMIT $2",
        after,
        size
    )
    .fetch_all(pool)
    .await
}
