//! Forgetting an owner.

use sqlx::PgConnection;
use uuid::Uuid;

/// Deletes the kept answers of the owner, whose the transaction is; answers how many there were.
pub async fn forget_owner(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<u64> {
    let forgotten = sqlx::query!("DELETE FROM idempotency_keys WHERE owner_id = $1", owner)
        .execute(connection)
        .await?;
    Ok(forgotten.rows_affected())
}
