//! The SQL of invitations: made, looked at, accepted once, withdrawn.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::act_for;
use crate::{mail_token::MailToken, registration::Email};

/// An invitation as it is kept.
pub(crate) struct NewInvitation<'a> {
    pub id: Uuid,
    pub inviter_id: Uuid,
    pub token_hash: &'a [u8],
    pub email: &'a Email,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

/// The one place that says who may invite, asked when somebody does and again when somebody comes with the invitation.
pub(crate) async fn may_invite(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT may_invite($1) AS "may!""#, user_id)
        .fetch_one(connection)
        .await
}

pub(crate) async fn insert_invitation(
    connection: &mut PgConnection,
    invitation: &NewInvitation<'_>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO invitations (id, inviter_id, token_hash, email, email_key, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        invitation.id,
        invitation.inviter_id,
        invitation.token_hash,
        invitation.email.as_str(),
        invitation.email.key(),
        invitation.created_at,
        invitation.expires_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Locks the invitation for the transaction and answers its id, when it is good for this address.
pub(crate) async fn lock_invitation(
    connection: &mut PgConnection,
    token: &MailToken,
    email: &Email,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Uuid>> {
    let inviter = sqlx::query_scalar!("SELECT adopt_inviter($1)", token.hash)
        .fetch_one(&mut *connection)
        .await?;
    let Some(inviter) = inviter else { return Ok(None) };
    // Who was an admin when they invited may be one no longer.
    if !may_invite(connection, inviter).await? {
        return Ok(None);
    }
    sqlx::query_scalar!(
        "SELECT id FROM invitations
         WHERE inviter_id = $1 AND token_hash = $2 AND email_key = $3 AND accepted_at IS NULL AND expires_at > $4
         FOR UPDATE",
        inviter,
        token.hash,
        email.key(),
        now
    )
    .fetch_optional(connection)
    .await
}

/// Uses the invitation up: its row goes, because whoever accepts it may delete the account, and then the address is nowhere. The
/// transaction is the new user's from then on.
pub(crate) async fn accept_invitation(connection: &mut PgConnection, id: Uuid, new_user_id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM invitations WHERE id = $1", id)
        .execute(&mut *connection)
        .await?;
    act_for(connection, new_user_id).await
}

/// In a transaction of the task that sends mails: removes what has expired, and what the release before this one kept though it
/// was accepted.
pub(crate) async fn sweep_invitations(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM invitations WHERE expires_at < now() OR accepted_at IS NOT NULL")
        .execute(connection)
        .await?;
    Ok(())
}

/// Answers false when there is no such invitation of this user that was not accepted.
pub(crate) async fn delete_invitation(connection: &mut PgConnection, inviter_id: Uuid, id: Uuid) -> sqlx::Result<bool> {
    let deleted = sqlx::query!(
        "DELETE FROM invitations WHERE id = $1 AND inviter_id = $2 AND accepted_at IS NULL",
        id,
        inviter_id
    )
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected() == 1)
}

/// The user's invitations that were not accepted, newest first, from before the invitation `before` on.
pub(crate) async fn list_invitations(
    connection: &mut PgConnection,
    inviter_id: Uuid,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<OpenInvitation>> {
    sqlx::query_as!(
        OpenInvitation,
        "SELECT id, email, created_at, expires_at FROM invitations
         WHERE inviter_id = $1 AND ($2::uuid IS NULL OR id < $2) AND accepted_at IS NULL
         ORDER BY id DESC
         LIMIT $3",
        inviter_id,
        before,
        limit
    )
    .fetch_all(connection)
    .await
}

/// An invitation as whoever invited sees it.
pub(crate) struct OpenInvitation {
    pub id: Uuid,
    pub email: String,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}
