//! The SQL of API tokens: made, listed, looked up, noted as used, revoked.

use sqlx::{PgConnection, PgPool};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::api_token::ApiTokenRow;

/// Whoever has a token in use need not wait for more than one write a minute.
const USE_NOTED_EVERY: Duration = Duration::minutes(1);

/// What is known of a token before it is known whether the one who brings it has its secret.
pub(crate) struct LookedUpApiToken {
    pub id: Uuid,
    pub user_id: Uuid,
    pub secret_hash: Vec<u8>,
    pub scopes: Vec<String>,
    pub expires_at: OffsetDateTime,
    pub revoked_at: Option<OffsetDateTime>,
}

/// How many tokens of the user count. Whoever makes another holds the user's row: tokens are made one by one.
pub(crate) async fn count_api_tokens(
    connection: &mut PgConnection,
    user_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM api_tokens
           WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2"#,
        user_id,
        now
    )
    .fetch_one(connection)
    .await
}

pub(crate) async fn insert_api_token(
    connection: &mut PgConnection,
    token: &ApiTokenRow,
    secret_hash: &[u8],
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO api_tokens (id, user_id, lookup_id, environment, secret_hash, name, scopes, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        token.id,
        token.user_id,
        token.lookup_id,
        token.environment,
        secret_hash,
        token.name,
        &token.scopes,
        token.created_at,
        token.expires_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The tokens that were not revoked, newest first, from before the token `before` on.
pub(crate) async fn list_api_tokens(
    connection: &mut PgConnection,
    user_id: Uuid,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<ApiTokenRow>> {
    sqlx::query_as!(
        ApiTokenRow,
        "SELECT id, user_id, lookup_id, environment, name, scopes, created_at, expires_at, last_used_at
         FROM api_tokens
         WHERE user_id = $1 AND ($2::uuid IS NULL OR id < $2) AND revoked_at IS NULL
         ORDER BY id DESC
         LIMIT $3",
        user_id,
        before,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Answers whether this revoked it, or nothing when it is not this user's.
pub(crate) async fn revoke_api_token(
    connection: &mut PgConnection,
    user_id: Uuid,
    id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<Option<bool>> {
    let found = sqlx::query!(
        "SELECT revoked_at FROM api_tokens WHERE id = $1 AND user_id = $2 FOR UPDATE",
        id,
        user_id
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(found) = found else { return Ok(None) };
    if found.revoked_at.is_some() {
        return Ok(Some(false));
    }
    sqlx::query!(
        "UPDATE api_tokens SET revoked_at = $3 WHERE id = $1 AND user_id = $2",
        id,
        user_id,
        now
    )
    .execute(connection)
    .await?;
    Ok(Some(true))
}

pub(crate) async fn look_up_api_token(pool: &PgPool, lookup_id: &str) -> sqlx::Result<Option<LookedUpApiToken>> {
    sqlx::query_as!(
        LookedUpApiToken,
        r#"SELECT id AS "id!", user_id AS "user_id!", secret_hash AS "secret_hash!", scopes AS "scopes!",
                  expires_at AS "expires_at!", revoked_at
           FROM api_token_for_lookup($1)"#,
        lookup_id
    )
    .fetch_optional(pool)
    .await
}

/// Does nothing when a use was noted within the last minute.
pub(crate) async fn note_api_token_use(
    connection: &mut PgConnection,
    user_id: Uuid,
    id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE api_tokens SET last_used_at = $3
         WHERE id = $1 AND user_id = $2 AND (last_used_at IS NULL OR last_used_at <= $4)",
        id,
        user_id,
        now,
        now - USE_NOTED_EVERY
    )
    .execute(connection)
    .await?;
    Ok(())
}
