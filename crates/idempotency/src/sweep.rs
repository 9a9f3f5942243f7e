//! Forgetting answers that nobody asks for any more.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::store;

const EVERY: Duration = Duration::from_secs(60 * 60);
/// Each batch is a transaction of its own.
const AT_ONCE: i64 = 1_000;

/// Deletes the keys of all owners that are older than 24 hours, at once and then every hour, until the shutdown.
pub async fn sweep(pool: PgPool, shutdown: CancellationToken) -> anyhow::Result<()> {
    let work = async {
        loop {
            if let Err(error) = forget_all(&pool).await {
                tracing::warn!(error = %error, "old idempotency keys cannot be deleted, trying again later");
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    shutdown.run_until_cancelled(work).await;
    Ok(())
}

async fn forget_all(pool: &PgPool) -> sqlx::Result<()> {
    while store::forget_expired(pool, AT_ONCE).await? >= AT_ONCE {}
    Ok(())
}
