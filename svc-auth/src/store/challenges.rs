//! The SQL of log-ins that wait for a second factor, and of sessions whose user shows again who they are.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    authentication::MULTIPLE_FACTORS,
    challenge::{CHALLENGE_LIFE, Challenge},
    domain::Session,
};

/// What had been shown when the challenge was issued.
pub(crate) struct Shown {
    pub password_version: i64,
    pub methods: Vec<String>,
}

/// Answers false when there is no such user any more, or their password was changed since it was checked. Those of the user's that
/// have ended are forgotten.
pub(crate) async fn insert_challenge(
    connection: &mut PgConnection,
    challenge: Challenge,
    shown: &Shown,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM login_challenges WHERE user_id = $1 AND expires_at <= $2",
        challenge.user_id,
        now
    )
    .execute(&mut *connection)
    .await?;
    let inserted = sqlx::query!(
        "INSERT INTO login_challenges (id, user_id, password_version, amr, expires_at)
         SELECT $1, id, password_version, $4, $5 FROM users WHERE id = $2 AND password_version = $3",
        challenge.id,
        challenge.user_id,
        shown.password_version,
        &shown.methods,
        now + CHALLENGE_LIFE
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Locks the challenge until the end of the transaction. Answers nothing when it was used, is over, or is of an older password.
pub(crate) async fn lock_challenge(
    connection: &mut PgConnection,
    challenge: Challenge,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Shown>> {
    sqlx::query_as!(
        Shown,
        "SELECT login_challenges.password_version, login_challenges.amr AS methods
         FROM login_challenges JOIN users ON users.id = login_challenges.user_id
         WHERE login_challenges.id = $1 AND login_challenges.user_id = $2 AND login_challenges.expires_at > $3
           AND login_challenges.password_version = users.password_version
         FOR UPDATE OF login_challenges",
        challenge.id,
        challenge.user_id,
        now
    )
    .fetch_optional(connection)
    .await
}

pub(crate) async fn delete_challenge(connection: &mut PgConnection, challenge: Challenge) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM login_challenges WHERE id = $1 AND user_id = $2",
        challenge.id,
        challenge.user_id
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the user of the session has shown after a moment who they are, with a second factor when they have one.
pub(crate) async fn session_is_stepped_up(
    connection: &mut PgConnection,
    user_id: Uuid,
    id: Uuid,
    moment: OffsetDateTime,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM sessions
               WHERE id = $1 AND user_id = $2 AND coalesce(reauthenticated_at, created_at) > $3
                 AND ($4 = ANY (amr) OR NOT has_second_factor($2))
           ) AS "is_stepped_up!""#,
        id,
        user_id,
        moment,
        MULTIPLE_FACTORS
    )
    .fetch_one(connection)
    .await
}

/// Begins a new generation of the session's tokens, which say how its user was recognised now.
pub(crate) async fn step_session_up(connection: &mut PgConnection, session: &Session) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE sessions SET generation = $3, rotated_at = $4, address = $5, reauthenticated_at = $6, amr = $7
         WHERE id = $1 AND user_id = $2",
        session.id,
        session.user_id,
        session.state.generation,
        session.state.rotated_at,
        session.address,
        session.authentication.at,
        &session.authentication.methods
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that the user of the session has shown a factor besides, without making what was shown before any newer.
pub(crate) async fn strengthen_session(
    connection: &mut PgConnection,
    user_id: Uuid,
    id: Uuid,
    method: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE sessions SET amr = amr || ARRAY[$3, $4]::text[] WHERE id = $1 AND user_id = $2 AND NOT $4 = ANY (amr)",
        id,
        user_id,
        method,
        MULTIPLE_FACTORS
    )
    .execute(connection)
    .await?;
    Ok(())
}
