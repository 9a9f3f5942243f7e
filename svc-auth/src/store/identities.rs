//! The SQL of accounts at providers: looked up at a log-in, linked, listed, unlinked.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

/// An account at a provider, linked to one here.
pub(crate) struct Identity {
    pub id: Uuid,
    pub provider_id: String,
    pub issuer: String,
    pub subject: String,
    pub created_at: OffsetDateTime,
    pub last_used_at: Option<OffsetDateTime>,
}

/// An identity to be.
pub(crate) struct NewIdentity<'a> {
    pub id: Uuid,
    pub user_id: Uuid,
    pub provider_id: &'a str,
    pub issuer: &'a str,
    pub subject: &'a str,
    pub now: OffsetDateTime,
}

/// Whose an identity is.
pub(crate) struct KnownIdentity {
    pub id: Uuid,
    pub user_id: Uuid,
    pub password_version: i64,
}

/// A user to be who logs in at a provider.
pub(crate) struct UserWithoutPassword<'a> {
    pub id: Uuid,
    /// The address and what makes two addresses the same.
    pub email: Option<(&'a str, &'a str)>,
    pub display_name: &'a str,
    pub now: OffsetDateTime,
}

pub(crate) async fn identity_for_log_in(
    pool: &PgPool,
    issuer: &str,
    subject: &str,
) -> sqlx::Result<Option<KnownIdentity>> {
    sqlx::query_as!(
        KnownIdentity,
        r#"SELECT id AS "id!", user_id AS "user_id!", password_version AS "password_version!"
           FROM identity_for_log_in($1, $2)"#,
        issuer,
        subject
    )
    .fetch_optional(pool)
    .await
}

/// Answers false when the address is taken.
pub(crate) async fn insert_user_without_password(
    connection: &mut PgConnection,
    user: UserWithoutPassword<'_>,
) -> sqlx::Result<bool> {
    let inserted = sqlx::query!(
        "INSERT INTO users (id, email, email_key, display_name, password_hash, pepper_id, created_at, email_confirmed_at)
         SELECT $1::uuid, $2, $3, $4, '', '', $5::timestamptz, CASE WHEN $3::text IS NOT NULL THEN $5 END
         WHERE $3::text IS NULL OR NOT email_is_reserved($3, $1, $5)
         ON CONFLICT (email_key) DO NOTHING",
        user.id,
        user.email.map_or("", |(email, _)| email),
        user.email.map(|(_, key)| key),
        user.display_name,
        user.now
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Answers false when the identity, or another one of its provider's, is linked already: to this user or to another one.
pub(crate) async fn insert_identity(connection: &mut PgConnection, identity: NewIdentity<'_>) -> sqlx::Result<bool> {
    let inserted = sqlx::query!(
        "INSERT INTO identities (id, user_id, provider_id, issuer, subject, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING",
        identity.id,
        identity.user_id,
        identity.provider_id,
        identity.issuer,
        identity.subject,
        identity.now
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Notes that somebody logs in with it. Answers false when it was unlinked meanwhile.
pub(crate) async fn use_identity(
    connection: &mut PgConnection,
    user_id: Uuid,
    id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let used = sqlx::query!(
        "UPDATE identities SET last_used_at = $3 WHERE id = $1 AND user_id = $2",
        id,
        user_id,
        now
    )
    .execute(connection)
    .await?;
    Ok(used.rows_affected() == 1)
}

/// The user's identity of an issuer.
pub(crate) async fn own_identity(
    connection: &mut PgConnection,
    user_id: Uuid,
    issuer: &str,
) -> sqlx::Result<Option<Identity>> {
    sqlx::query_as!(
        Identity,
        "SELECT id, provider_id, issuer, subject, created_at, last_used_at FROM identities
         WHERE user_id = $1 AND issuer = $2",
        user_id,
        issuer
    )
    .fetch_optional(connection)
    .await
}

/// Newest first. One for each provider, so they are few.
pub(crate) async fn list_identities(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<Vec<Identity>> {
    sqlx::query_as!(
        Identity,
        "SELECT id, provider_id, issuer, subject, created_at, last_used_at FROM identities
         WHERE user_id = $1 ORDER BY id DESC",
        user_id
    )
    .fetch_all(connection)
    .await
}

/// Whether the user can log in. A password counts with an address to give it with.
pub(crate) async fn has_way_in(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM users WHERE id = $1 AND password_hash <> '' AND email_key IS NOT NULL)
               OR EXISTS (SELECT FROM identities WHERE user_id = $1)
               OR EXISTS (SELECT FROM passkeys WHERE user_id = $1) AS "has!""#,
        user_id
    )
    .fetch_one(connection)
    .await
}

/// Answers false when there is none, or it is not this user's.
pub(crate) async fn delete_identity(connection: &mut PgConnection, user_id: Uuid, id: Uuid) -> sqlx::Result<bool> {
    let deleted = sqlx::query!("DELETE FROM identities WHERE id = $1 AND user_id = $2", id, user_id)
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected() == 1)
}
