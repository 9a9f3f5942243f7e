//! The SQL of deleting users: the user's rows, and what the services answer.

use std::collections::BTreeMap;

use serde::Deserialize;
use sqlx::{PgConnection, PgPool, types::Json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::Login;

/// No access token is left by then, wherever clocks stand.
const ENDED_IDS_KEPT: Duration = Duration::hours(1);

pub(crate) type Counts = BTreeMap<String, i64>;

/// A user who is no more.
pub(crate) struct Deletion {
    pub id: Uuid,
    pub user_id: Uuid,
    pub requested_at: OffsetDateTime,
    pub completed_at: Option<OffsetDateTime>,
    pub proofs: Vec<Proof>,
}

/// A service's word that it keeps nothing of a user.
#[derive(Debug, Deserialize)]
pub(crate) struct Proof {
    pub service: String,
    pub done_microseconds: i64,
    pub counts: Counts,
}

/// Deletes the user with all that belongs to them, and answers which sessions and API tokens ended with it. None, and nothing is
/// deleted, when the password was changed since it was checked. Whoever logs in or makes a token at this moment holds the
/// user's row, and so is either seen here or finds nobody.
pub(crate) async fn delete_user(
    connection: &mut PgConnection,
    login: &Login,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Vec<Uuid>>> {
    let locked = sqlx::query_scalar!(
        "SELECT id FROM users WHERE id = $1 AND password_version = $2 FOR UPDATE",
        login.user_id,
        login.password_version
    )
    .fetch_optional(&mut *connection)
    .await?;
    if locked.is_none() {
        return Ok(None);
    }
    let ended = sqlx::query_scalar!(
        "INSERT INTO ended_ids (id, ended_at)
         SELECT id, $2 FROM sessions WHERE user_id = $1 AND expires_at > $2
         UNION ALL
         SELECT id, $2 FROM api_tokens WHERE user_id = $1 AND expires_at > $2
         RETURNING id",
        login.user_id,
        now
    )
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM users WHERE id = $1", login.user_id)
        .execute(connection)
        .await?;
    Ok(Some(ended))
}

/// Notes that the services are asked to delete what they have of the user.
pub(crate) async fn insert_deletion(
    connection: &mut PgConnection,
    id: Uuid,
    user_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO deletions (user_id, id, requested_at, asked_at) VALUES ($1, $2, $3, $3)",
        user_id,
        id,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Users of whom some service has not answered yet, and is to be asked again.
pub(crate) async fn overdue_deletions(pool: &PgPool, now: OffsetDateTime, limit: i64) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"SELECT user_id AS "user_id!" FROM overdue_deletions($1, $2) AS user_id"#,
        now,
        limit
    )
    .fetch_all(pool)
    .await
}

/// Notes that the services are asked again; answers how often that makes, or nothing when all have answered meanwhile.
pub(crate) async fn ask_again(
    connection: &mut PgConnection,
    user_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<Option<i32>> {
    sqlx::query_scalar!(
        "UPDATE deletions SET asked_at = $2, asks = asks + 1 WHERE user_id = $1 AND completed_at IS NULL
         RETURNING asks",
        user_id,
        now
    )
    .fetch_optional(connection)
    .await
}

/// Keeps a service's answer, and answers who has answered by now: nobody when the deletion is none of ours, or complete. The row is locked, so that of
/// two last answers one sees the other.
pub(crate) async fn note_proof(
    connection: &mut PgConnection,
    user_id: Uuid,
    service: &str,
    counts: &Counts,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<String>> {
    let open = sqlx::query_scalar!(
        "SELECT id FROM deletions WHERE user_id = $1 AND completed_at IS NULL FOR UPDATE",
        user_id
    )
    .fetch_optional(&mut *connection)
    .await?;
    if open.is_none() {
        return Ok(Vec::new());
    }
    sqlx::query!(
        "INSERT INTO deletion_proofs (user_id, service, done_at, counts) VALUES ($1, $2, $3, $4)
         ON CONFLICT (user_id, service) DO UPDATE SET counts = excluded.counts",
        user_id,
        service,
        now,
        Json(counts) as _
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query_scalar!("SELECT service FROM deletion_proofs WHERE user_id = $1", user_id)
        .fetch_all(connection)
        .await
}

pub(crate) async fn complete_deletion(
    connection: &mut PgConnection,
    user_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE deletions SET completed_at = $2 WHERE user_id = $1",
        user_id,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Newest first, from before the deletion `before` on; none at all unless the transaction is an admin's.
pub(crate) async fn list_deletions(
    connection: &mut PgConnection,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Deletion>> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id!", user_id AS "user_id!", requested_at AS "requested_at!", completed_at,
                  proofs AS "proofs!: Json<Vec<Proof>>"
           FROM deletions_for_admin($1, $2)"#,
        before as _,
        limit
    )
    .fetch_all(connection)
    .await?;
    let deletions = rows.into_iter().map(|row| Deletion {
        id: row.id,
        user_id: row.user_id,
        requested_at: row.requested_at,
        completed_at: row.completed_at,
        proofs: row.proofs.0,
    });
    Ok(deletions.collect())
}

pub(crate) async fn prune_ended_ids(pool: &PgPool, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM ended_ids WHERE ended_at < $1", now - ENDED_IDS_KEPT)
        .execute(pool)
        .await?;
    Ok(())
}
