//! The SQL of passkeys: a user's own, and the ceremonies that have been used.

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::passkey::Ceremony;

/// A ceremony that is over by one replica's clock may not be by another's.
const CLOCKS_DIFFER: Duration = Duration::minutes(1);

/// A passkey as its user sees it.
pub(crate) struct PasskeyRow {
    pub id: Uuid,
    pub name: String,
    pub created_at: OffsetDateTime,
    pub last_used_at: Option<OffsetDateTime>,
}

/// A passkey to be.
pub(crate) struct NewPasskey<'a> {
    pub id: Uuid,
    pub user_id: Uuid,
    pub credential_id: &'a [u8],
    pub credential: &'a str,
    pub name: &'a str,
}

/// The row of a passkey that is used.
pub(crate) struct LockedPasskey {
    pub id: Uuid,
    pub credential: String,
}

pub(crate) async fn list_passkeys(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<Vec<PasskeyRow>> {
    sqlx::query_as!(
        PasskeyRow,
        "SELECT id, name, created_at, last_used_at FROM passkeys WHERE user_id = $1 ORDER BY id DESC",
        user_id
    )
    .fetch_all(connection)
    .await
}

/// What the devices call the user's passkeys. Whoever adds another holds the user's row: they are added one by one.
pub(crate) async fn credential_ids(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<Vec<Vec<u8>>> {
    sqlx::query_scalar!("SELECT credential_id FROM passkeys WHERE user_id = $1", user_id)
        .fetch_all(connection)
        .await
}

/// Answers false when somebody has it already.
pub(crate) async fn insert_passkey(
    connection: &mut PgConnection,
    passkey: NewPasskey<'_>,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let inserted = sqlx::query!(
        "INSERT INTO passkeys (id, user_id, credential_id, credential, name, created_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (credential_id) DO NOTHING",
        passkey.id,
        passkey.user_id,
        passkey.credential_id,
        passkey.credential,
        passkey.name,
        now
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Answers nothing when it is not this user's.
pub(crate) async fn rename_passkey(
    connection: &mut PgConnection,
    user_id: Uuid,
    id: Uuid,
    name: &str,
) -> sqlx::Result<Option<PasskeyRow>> {
    sqlx::query_as!(
        PasskeyRow,
        "UPDATE passkeys SET name = $3 WHERE id = $1 AND user_id = $2 RETURNING id, name, created_at, last_used_at",
        id,
        user_id,
        name
    )
    .fetch_optional(connection)
    .await
}

/// Answers false when it is not this user's.
pub(crate) async fn delete_passkey(connection: &mut PgConnection, user_id: Uuid, id: Uuid) -> sqlx::Result<bool> {
    let deleted = sqlx::query!("DELETE FROM passkeys WHERE id = $1 AND user_id = $2", id, user_id)
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

/// Locks the passkey until the end of the transaction: its counter is compared and kept by one at a time.
pub(crate) async fn lock_passkey(
    connection: &mut PgConnection,
    user_id: Uuid,
    credential_id: &[u8],
) -> sqlx::Result<Option<LockedPasskey>> {
    sqlx::query_as!(
        LockedPasskey,
        "SELECT id, credential FROM passkeys WHERE user_id = $1 AND credential_id = $2 FOR UPDATE",
        user_id,
        credential_id
    )
    .fetch_optional(connection)
    .await
}

pub(crate) async fn note_passkey_use(
    connection: &mut PgConnection,
    user_id: Uuid,
    used: &LockedPasskey,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE passkeys SET credential = $3, last_used_at = $4 WHERE id = $1 AND user_id = $2",
        used.id,
        user_id,
        used.credential,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Answers false when the ceremony was used before. Those of the user's that are over are forgotten.
pub(crate) async fn use_ceremony(
    connection: &mut PgConnection,
    user_id: Uuid,
    ceremony: Ceremony,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM used_ceremonies WHERE user_id = $1 AND expires_at <= $2",
        user_id,
        now - CLOCKS_DIFFER
    )
    .execute(&mut *connection)
    .await?;
    let used = sqlx::query!(
        "INSERT INTO used_ceremonies (id, user_id, expires_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
        ceremony.id,
        user_id,
        ceremony.expires_at
    )
    .execute(connection)
    .await?;
    Ok(used.rows_affected() == 1)
}
