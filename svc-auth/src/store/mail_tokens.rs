//! The SQL of the tokens that mails carry: put, used once, withdrawn, swept.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    mail_token::{MailToken, TokenPurpose, counts},
    registration::Email,
};

/// A token as it is kept.
pub(crate) struct NewTokenRow<'a> {
    pub user_id: Uuid,
    pub purpose: TokenPurpose,
    pub hash: &'a [u8],
    /// The address that the account gets.
    pub email: Option<&'a Email>,
    pub now: OffsetDateTime,
}

/// A token that was good, and is used up now.
pub(crate) struct UsedToken {
    pub email: Option<Email>,
    pub created_at: OffsetDateTime,
}

/// Withdraws the user's token for the same purpose.
pub(crate) async fn put_mail_token(connection: &mut PgConnection, token: NewTokenRow<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO mail_tokens (id, user_id, purpose, token_hash, email, email_key, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (user_id, purpose) WHERE purpose <> 'undo_email_change'
         DO UPDATE SET id = EXCLUDED.id, token_hash = EXCLUDED.token_hash, email = EXCLUDED.email,
                       email_key = EXCLUDED.email_key, created_at = EXCLUDED.created_at,
                       expires_at = EXCLUDED.expires_at",
        service::id::generate(),
        token.user_id,
        token.purpose.as_str(),
        token.hash,
        token.email.map(Email::as_str),
        token.email.map(Email::key),
        token.now,
        token.now + token.purpose.life()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A token of nobody, in a transaction of nobody, which cannot see the ones before it.
pub(crate) async fn put_decoy_token(
    connection: &mut PgConnection,
    purpose: TokenPurpose,
    hash: &[u8],
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO mail_tokens (id, purpose, token_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        service::id::generate(),
        purpose.as_str(),
        hash,
        now,
        now + purpose.life()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes the transaction the token's user's.
pub(crate) async fn adopt_owner_of_mail_token(
    connection: &mut PgConnection,
    purpose: TokenPurpose,
    token: &MailToken,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!("SELECT adopt_owner_of_mail_token($1, $2)", token.hash, purpose.as_str())
        .fetch_one(connection)
        .await
}

/// Answers nothing when the token was used, withdrawn or has expired. Expired ones are swept later.
pub(crate) async fn use_mail_token(
    connection: &mut PgConnection,
    user_id: Uuid,
    purpose: TokenPurpose,
    token: &MailToken,
    now: OffsetDateTime,
) -> sqlx::Result<Option<UsedToken>> {
    let used = sqlx::query!(
        "DELETE FROM mail_tokens WHERE user_id = $1 AND purpose = $2 AND token_hash = $3
         RETURNING email, created_at, expires_at",
        user_id,
        purpose.as_str(),
        token.hash
    )
    .fetch_optional(connection)
    .await?;
    let used = used.filter(|used| counts(used.created_at, used.expires_at, now));
    Ok(used.map(|used| UsedToken {
        email: used.email.map(Email::stored),
        created_at: used.created_at,
    }))
}

/// Whether the user has a token for a purpose that can still be used.
pub(crate) async fn has_mail_token(
    connection: &mut PgConnection,
    user_id: Uuid,
    purpose: TokenPurpose,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let rows = sqlx::query!(
        "SELECT created_at, expires_at FROM mail_tokens WHERE user_id = $1 AND purpose = $2",
        user_id,
        purpose.as_str()
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().any(|row| counts(row.created_at, row.expires_at, now)))
}

/// Withdraws the user's tokens, except those that undo a change of address.
pub(crate) async fn withdraw_mail_tokens(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM mail_tokens WHERE user_id = $1 AND purpose <> 'undo_email_change'",
        user_id
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Withdraws what could undo changes that were asked for at a moment or later.
pub(crate) async fn withdraw_undo_tokens(
    connection: &mut PgConnection,
    user_id: Uuid,
    since: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM mail_tokens WHERE user_id = $1 AND purpose = 'undo_email_change' AND created_at >= $2",
        user_id,
        since
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// In a transaction of the sender.
pub(crate) async fn sweep_mail_tokens(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM mail_tokens WHERE expires_at < now()")
        .execute(connection)
        .await?;
    Ok(())
}
