//! Answers that were given to batches of imports.

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Nobody sends a batch again after so long.
const KEPT: Duration = Duration::days(30);

/// What was answered to the batch, if it was done before.
pub async fn response_of(connection: &mut PgConnection, owner: Uuid, batch_id: &str) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar!(
        "SELECT response FROM upsert_batches WHERE owner_id = $1 AND batch_id = $2",
        owner,
        batch_id
    )
    .fetch_optional(connection)
    .await
}

/// Keeps an answer, and forgets the owner's old ones.
pub async fn keep_response(
    connection: &mut PgConnection,
    owner: Uuid,
    batch_id: &str,
    response: &[u8],
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH forgotten AS (DELETE FROM upsert_batches WHERE owner_id = $1 AND create_time < $5)
         INSERT INTO upsert_batches (owner_id, batch_id, response, create_time) VALUES ($1, $2, $3, $4)",
        owner,
        batch_id,
        response,
        now,
        now - KEPT
    )
    .execute(connection)
    .await?;
    Ok(())
}
