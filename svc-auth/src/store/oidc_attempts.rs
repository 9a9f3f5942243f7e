//! The SQL of log-ins at providers that are under way.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Who has to complete an attempt: anybody, to log in, or a user in the session that started it, to link.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Whose {
    pub user_id: Option<Uuid>,
    pub session_id: Option<Uuid>,
}

/// What is kept of an attempt.
pub(crate) struct AttemptRow {
    pub provider_id: String,
    pub issuer: String,
    pub redirect_uri: String,
    pub secrets_sealed: Vec<u8>,
}

/// An attempt to be.
pub(crate) struct NewAttempt<'a> {
    pub whose: Whose,
    pub state_hash: &'a [u8],
    pub binding_hash: &'a [u8],
    pub row: AttemptRow,
    pub expires_at: OffsetDateTime,
}

/// Also removes what the same one, or nobody, has let expire.
pub(crate) async fn insert_attempt(
    connection: &mut PgConnection,
    attempt: NewAttempt<'_>,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let NewAttempt { whose, row, .. } = attempt;
    sqlx::query!(
        "DELETE FROM oidc_attempts WHERE user_id IS NOT DISTINCT FROM $1 AND expires_at <= $2",
        whose.user_id,
        now
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO oidc_attempts (state_hash, binding_hash, user_id, session_id, provider_id, issuer, redirect_uri,
                                    secrets_sealed, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        attempt.state_hash,
        attempt.binding_hash,
        whose.user_id,
        whose.session_id,
        row.provider_id,
        row.issuer,
        row.redirect_uri,
        row.secrets_sealed,
        attempt.expires_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the attempt away: of several who ask, one gets it. With another binding it stays, so that nobody who has seen a state can
/// end somebody else's log-in.
pub(crate) async fn take_attempt(
    connection: &mut PgConnection,
    whose: Whose,
    state_hash: &[u8],
    binding_hash: &[u8],
    now: OffsetDateTime,
) -> sqlx::Result<Option<AttemptRow>> {
    sqlx::query_as!(
        AttemptRow,
        "DELETE FROM oidc_attempts
         WHERE state_hash = $1 AND binding_hash = $2 AND expires_at > $3
           AND user_id IS NOT DISTINCT FROM $4 AND session_id IS NOT DISTINCT FROM $5
         RETURNING provider_id, issuer, redirect_uri, secrets_sealed",
        state_hash,
        binding_hash,
        now,
        whose.user_id,
        whose.session_id
    )
    .fetch_optional(connection)
    .await
}
