//! The SQL of signing keys. All replicas agree by it on which key signs when.

use sqlx::PgPool;
use time::OffsetDateTime;

/// A key that signs access tokens, its private half still sealed.
pub(crate) struct SigningKeyRow {
    pub id: String,
    pub public_key: Vec<u8>,
    pub private_key_sealed: Vec<u8>,
    /// When it begins to sign, in place of the one before it.
    pub activates_at: OffsetDateTime,
}

/// A key that may become the next one.
pub(crate) struct NewSigningKey {
    pub id: String,
    pub public_key: Vec<u8>,
    pub private_key_sealed: Vec<u8>,
}

/// All keys that are published, newest first.
pub(crate) async fn signing_keys(pool: &PgPool) -> sqlx::Result<Vec<SigningKeyRow>> {
    sqlx::query_as!(
        SigningKeyRow,
        "SELECT id, public_key, private_key_sealed, activates_at FROM signing_keys ORDER BY activates_at DESC, id DESC"
    )
    .fetch_all(pool)
    .await
}

/// The moment by which keys are changed: one clock for all replicas.
pub(crate) async fn database_now(pool: &PgPool) -> sqlx::Result<OffsetDateTime> {
    sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#)
        .fetch_one(pool)
        .await
}

/// Adds the key after the last one if it is time to publish it, `ahead_seconds` before the last one's period is over. The first of all
/// signs at once; when its time has passed unused, the next one is still published ahead. Does nothing when another replica has
/// added it: both would give it the same generation.
pub(crate) async fn add_next_signing_key(
    pool: &PgPool,
    key: &NewSigningKey,
    period_seconds: f64,
    ahead_seconds: f64,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let added = sqlx::query!(
        "INSERT INTO signing_keys (id, public_key, private_key_sealed, created_at, generation, activates_at)
         SELECT $1, $2, $3, $4::timestamptz, coalesce(last.generation, 0) + 1,
                CASE WHEN last.activates_at IS NULL THEN $4::timestamptz
                     ELSE greatest(last.activates_at + make_interval(secs => $5), $4::timestamptz + make_interval(secs => $6)) END
         FROM (SELECT max(generation) AS generation, max(activates_at) AS activates_at FROM signing_keys) AS last
         WHERE last.activates_at IS NULL
            OR last.activates_at + make_interval(secs => $5) - make_interval(secs => $6) <= $4::timestamptz
         ON CONFLICT DO NOTHING",
        key.id,
        key.public_key,
        key.private_key_sealed,
        now,
        period_seconds,
        ahead_seconds
    )
    .execute(pool)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// Deletes the keys whose successor signed at `moment` already.
pub(crate) async fn delete_signing_keys_before(pool: &PgPool, moment: OffsetDateTime) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        "DELETE FROM signing_keys
         WHERE activates_at < (SELECT max(activates_at) FROM signing_keys WHERE activates_at <= $1)",
        moment
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}
