//! The SQL of a user's own sessions: seen, named and ended.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::EndReason;
use crate::{
    authentication::Authentication,
    domain::{SESSION_IDLE, Session, SessionState},
};

/// A row of `sessions`, of whose user nobody has logged out everywhere since.
struct LiveRow {
    id: Uuid,
    user_agent: String,
    name: String,
    address: String,
    generation: i64,
    created_at: OffsetDateTime,
    authenticated_at: OffsetDateTime,
    amr: Vec<String>,
    expires_at: OffsetDateTime,
    rotated_at: OffsetDateTime,
}

/// The sessions that can still be refreshed, newest first, from before the session `before` on.
pub(crate) async fn list_sessions(
    connection: &mut PgConnection,
    user_id: Uuid,
    before: Option<Uuid>,
    limit: i64,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<Session>> {
    let rows = sqlx::query_as!(
        LiveRow,
        r#"SELECT sessions.id, sessions.user_agent, sessions.name, sessions.address, sessions.generation,
                sessions.created_at, sessions.expires_at, sessions.rotated_at, sessions.amr,
                coalesce(sessions.reauthenticated_at, sessions.created_at) AS "authenticated_at!"
         FROM sessions JOIN users ON users.id = sessions.user_id
         WHERE sessions.user_id = $1 AND ($2::uuid IS NULL OR sessions.id < $2)
           AND sessions.revoked_at IS NULL AND sessions.auth_epoch = users.auth_epoch
           AND sessions.expires_at > $3 AND sessions.rotated_at > $4
         ORDER BY sessions.id DESC
         LIMIT $5"#,
        user_id,
        before,
        now,
        now - SESSION_IDLE,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.into_session(user_id)).collect())
}

/// Locks the session, ended or not, until the end of the transaction. Answers false when it is not this user's.
pub(crate) async fn lock_own_session(connection: &mut PgConnection, user_id: Uuid, id: Uuid) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        "SELECT id FROM sessions WHERE id = $1 AND user_id = $2 FOR UPDATE",
        id,
        user_id
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}

/// Answers nothing when the session has ended, or is not this user's.
pub(crate) async fn rename_session(
    connection: &mut PgConnection,
    user_id: Uuid,
    id: Uuid,
    name: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Session>> {
    let row = sqlx::query_as!(
        LiveRow,
        r#"UPDATE sessions SET name = $3
         FROM users
         WHERE sessions.id = $1 AND sessions.user_id = $2 AND users.id = sessions.user_id
           AND sessions.revoked_at IS NULL AND sessions.auth_epoch = users.auth_epoch
           AND sessions.expires_at > $4 AND sessions.rotated_at > $5
         RETURNING sessions.id, sessions.user_agent, sessions.name, sessions.address, sessions.generation,
                   sessions.created_at, sessions.expires_at, sessions.rotated_at, sessions.amr,
                   coalesce(sessions.reauthenticated_at, sessions.created_at) AS "authenticated_at!""#,
        id,
        user_id,
        name,
        now,
        now - SESSION_IDLE
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.into_session(user_id)))
}

/// Ends all sessions of the user but `kept`; answers which were ended by this.
pub(crate) async fn end_other_sessions(
    connection: &mut PgConnection,
    user_id: Uuid,
    kept: Uuid,
    reason: EndReason,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "UPDATE sessions SET revoked_at = $3, revoked_reason = $4
         WHERE user_id = $1 AND id <> $2 AND revoked_at IS NULL AND expires_at > $3 AND rotated_at > $5
         RETURNING id",
        user_id,
        kept,
        now,
        reason.as_str(),
        now - SESSION_IDLE
    )
    .fetch_all(connection)
    .await
}

impl LiveRow {
    fn into_session(self, user_id: Uuid) -> Session {
        Session {
            id: self.id,
            user_id,
            user_agent: self.user_agent,
            name: self.name,
            address: self.address,
            created_at: self.created_at,
            authentication: Authentication {
                at: self.authenticated_at,
                methods: self.amr,
            },
            state: SessionState {
                generation: self.generation,
                rotated_at: self.rotated_at,
                expires_at: self.expires_at,
                revoked: false,
                epoch_is_over: false,
            },
        }
    }
}
