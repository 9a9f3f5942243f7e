//! The SQL of ways in that are taken away, because somebody else may have added them.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// What was taken away.
pub(crate) struct TakenAway {
    pub passkeys: Vec<Uuid>,
    pub identities: Vec<Uuid>,
    /// Whether there was an app that counted.
    pub totp: bool,
}

/// Takes away what was added at a moment or later, and the recovery codes when no factor is left. Challenges of a log-in end with the
/// password, which whoever calls this changes.
pub(crate) async fn take_ways_in_away(
    connection: &mut PgConnection,
    user_id: Uuid,
    since: OffsetDateTime,
) -> sqlx::Result<TakenAway> {
    let passkeys = sqlx::query_scalar!(
        "DELETE FROM passkeys WHERE user_id = $1 AND created_at >= $2 RETURNING id",
        user_id,
        since
    )
    .fetch_all(&mut *connection)
    .await?;
    let identities = sqlx::query_scalar!(
        "DELETE FROM identities WHERE user_id = $1 AND created_at >= $2 RETURNING id",
        user_id,
        since
    )
    .fetch_all(&mut *connection)
    .await?;
    let totp = sqlx::query_scalar!(
        r#"DELETE FROM totp_factors WHERE user_id = $1 AND coalesce(confirmed_at, enrolled_at) >= $2
           RETURNING confirmed_at IS NOT NULL AS "counted!""#,
        user_id,
        since
    )
    .fetch_optional(&mut *connection)
    .await?;
    super::delete_orphaned_recovery_codes(connection, user_id).await?;
    Ok(TakenAway {
        passkeys,
        identities,
        totp: totp == Some(true),
    })
}
