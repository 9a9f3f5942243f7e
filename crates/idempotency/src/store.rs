//! All SQL. Every function but [`forget_expired`] takes the connection of a transaction that belongs to the owner.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

pub(crate) struct Kept {
    pub(crate) request_hash: Vec<u8>,
    pub(crate) answer: Vec<u8>,
}

/// Takes the key until the transaction ends; false when another transaction has it.
pub(crate) async fn try_take(connection: &mut PgConnection, owner: Uuid, key: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock(
               hashtextextended(current_schema()::text || ' ' || $1::text || ' ' || $2::text, 0)
           ) AS "taken!""#,
        owner.to_string(),
        key
    )
    .fetch_one(connection)
    .await
}

/// A statement of its own after [`try_take`]: only so does it see what the one before has committed.
pub(crate) async fn find(connection: &mut PgConnection, owner: Uuid, key: &str) -> sqlx::Result<Option<Kept>> {
    sqlx::query_as!(
        Kept,
        "SELECT request_hash, answer FROM idempotency_keys
         WHERE owner_id = $1 AND key = $2 AND created_at >= now() - interval '24 hours'",
        owner,
        key
    )
    .fetch_optional(connection)
    .await
}

/// What is there under the key has expired.
pub(crate) async fn keep(
    connection: &mut PgConnection,
    owner: Uuid,
    key: &str,
    request_hash: &[u8],
    answer: &[u8],
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO idempotency_keys (owner_id, key, request_hash, answer) VALUES ($1, $2, $3, $4)
         ON CONFLICT (owner_id, key) DO UPDATE
         SET request_hash = excluded.request_hash, answer = excluded.answer, created_at = excluded.created_at",
        owner,
        key,
        request_hash,
        answer
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes up to `size` keys of all owners that have expired, and answers how many it were.
pub(crate) async fn forget_expired(pool: &PgPool, size: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"SELECT forget_idempotency_keys($1) AS "forgotten!""#, size)
        .fetch_one(pool)
        .await
}
