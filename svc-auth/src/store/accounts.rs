//! The SQL of an account's address and of its ways back in.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{password::StoredHash, registration::Email};

/// What mails of an account need to know.
pub(crate) struct Account {
    pub user_id: Uuid,
    pub email: Email,
    pub email_confirmed: bool,
}

pub(crate) async fn account_of(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<Option<Account>> {
    let row = sqlx::query!(
        r#"SELECT email, email_confirmed_at IS NOT NULL AS "email_confirmed!" FROM users WHERE id = $1"#,
        user_id
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Account {
        user_id,
        email: Email::stored(row.email),
        email_confirmed: row.email_confirmed,
    }))
}

/// Holds the user's row until the end of the transaction: whoever adds a way in, takes one away or shuts the account goes one by
/// one, and a log-in waits. It is the first row that is locked, before sessions and factors: nobody waits for each other.
pub(crate) async fn hold_user(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<()> {
    sqlx::query_scalar!("SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE", user_id)
        .fetch_optional(connection)
        .await?;
    Ok(())
}

/// Locks the account until the end of the transaction: what mailed tokens do, log-ins and changes of the password go one by one.
pub(crate) async fn lock_account(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<Option<Account>> {
    hold_user(connection, user_id).await?;
    account_of(connection, user_id).await
}

pub(crate) async fn confirm_email(
    connection: &mut PgConnection,
    user_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!("UPDATE users SET email_confirmed_at = $2 WHERE id = $1", user_id, now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Answers false when the address is somebody else's, or may become so again; then the transaction is good for nothing more.
pub(crate) async fn change_email(
    connection: &mut PgConnection,
    user_id: Uuid,
    email: &Email,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        "UPDATE users SET email = $2, email_key = $3, email_confirmed_at = $4
         WHERE id = $1 AND NOT email_is_reserved($3, $1, $4)",
        user_id,
        email.as_str(),
        email.key(),
        now
    )
    .execute(connection)
    .await;
    match changed {
        Ok(changed) => Ok(changed.rows_affected() == 1),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whatever the password was before. Whoever sets it has shown that they read the mail of the address.
pub(crate) async fn set_password(
    connection: &mut PgConnection,
    user_id: Uuid,
    new: &StoredHash,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE users SET password_hash = $2, pepper_id = $3, password_version = password_version + 1,
                          email_confirmed_at = coalesce(email_confirmed_at, $4), password_reset_required = false
         WHERE id = $1",
        user_id,
        new.phc,
        new.pepper_id,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Answers which API tokens were revoked by this.
pub(crate) async fn revoke_api_tokens_of(
    connection: &mut PgConnection,
    user_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "UPDATE api_tokens SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2
         RETURNING id",
        user_id,
        now
    )
    .fetch_all(connection)
    .await
}
