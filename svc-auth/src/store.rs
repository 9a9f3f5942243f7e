//! All SQL of users, sessions, API tokens, signing keys and the audit log. What is one user's is read and written under row-level security.

mod accounts;
mod admin;
mod api_tokens;
mod audit;
mod challenges;
mod deletions;
mod factors;
mod identities;
mod invitations;
mod mail_tokens;
mod mails;
mod oidc_attempts;
mod own_sessions;
mod passkeys;
mod passwords;
mod signing_keys;
mod ways_in;

use sqlx::{PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    authentication::Authentication,
    domain::{Session, SessionState},
    password::StoredHash,
    role::Role,
};

pub(crate) use accounts::{
    Account, account_of, change_email, confirm_email, hold_user, lock_account, revoke_api_tokens_of, set_password,
};
pub(crate) use admin::{
    ManagedUser, Standing, UserFilter, act_for, act_for_nobody, acts_as_admin, end_all_sessions, has_other_admin,
    hold_standing, list_events_about, list_users, lock_user, make_first_user_admin, require_password_reset,
    set_disabled, set_role, user_with_address,
};
pub(crate) use api_tokens::{
    count_api_tokens, insert_api_token, list_api_tokens, look_up_api_token, note_api_token_use, revoke_api_token,
};
pub(crate) use audit::{StoredLink, append_event, audit_head, links_after, links_for_admin, list_events};
pub(crate) use challenges::{
    Shown, delete_challenge, insert_challenge, lock_challenge, session_is_stepped_up, step_session_up,
    strengthen_session,
};
pub(crate) use deletions::{
    Deletion, ask_again, complete_deletion, delete_user, insert_deletion, list_deletions, note_proof,
    overdue_deletions, prune_ended_ids,
};
pub(crate) use factors::{
    Enrolment, LockedTotp, confirm_totp, delete_orphaned_recovery_codes, delete_totp, enrol_totp, has_second_factor,
    lock_pending_totp, lock_totp, note_wrong_code, redeem_recovery_code, replace_recovery_codes, second_factors,
    use_totp_step,
};
pub(crate) use identities::{
    Identity, KnownIdentity, NewIdentity, UserWithoutPassword, delete_identity, has_way_in, identity_for_log_in,
    insert_identity, insert_user_without_password, list_identities, own_identity, use_identity,
};
pub(crate) use invitations::{
    NewInvitation, OpenInvitation, accept_invitation, delete_invitation, insert_invitation, list_invitations,
    lock_invitation, may_invite, sweep_invitations,
};
pub(crate) use mail_tokens::{
    NewTokenRow, adopt_owner_of_mail_token, has_mail_token, put_decoy_token, put_mail_token, sweep_mail_tokens,
    use_mail_token, withdraw_mail_tokens, withdraw_undo_tokens,
};
pub(crate) use mails::{
    NewMailRow, TakenMail, begin_as_sender, count_mails, finish_mail, put_mail, put_off_mail, sweep_mails, take_mails,
    waiting_mails,
};
pub(crate) use oidc_attempts::{AttemptRow, NewAttempt, Whose, insert_attempt, take_attempt};
pub(crate) use own_sessions::{end_other_sessions, list_sessions, lock_own_session, rename_session};
pub(crate) use passkeys::{
    LockedPasskey, NewPasskey, PasskeyRow, credential_ids, delete_passkey, insert_passkey, list_passkeys, lock_passkey,
    note_passkey_use, rename_passkey, use_ceremony,
};
pub(crate) use passwords::{Login, change_password, password_of, replace_password_hash, user_for_login};
pub(crate) use signing_keys::{
    NewSigningKey, SigningKeyRow, add_next_signing_key, database_now, delete_signing_keys_before, signing_keys,
};
pub(crate) use ways_in::take_ways_in_away;

/// A user as others may see it.
pub(crate) struct User {
    pub id: Uuid,
    pub email: String,
    pub display_name: String,
    pub created_at: OffsetDateTime,
    pub email_confirmed: bool,
}

/// A user to be.
pub(crate) struct NewUser<'a> {
    pub id: Uuid,
    pub email: &'a str,
    pub email_key: &'a str,
    pub display_name: &'a str,
    pub password_hash: &'a StoredHash,
    pub now: OffsetDateTime,
}

/// Why a session was ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EndReason {
    Logout,
    Reuse,
    /// By its user, from another session.
    Ended,
    /// The password was changed, by another session.
    PasswordChanged,
    /// By an admin.
    EndedByAdmin,
}

/// A locked session with the key of its refresh tokens, still sealed.
pub(crate) struct LockedSession {
    pub session: Session,
    pub role: Role,
    pub hmac_key_sealed: Vec<u8>,
}

/// Answers false when the address is taken, or somebody may still take it back.
pub(crate) async fn insert_user(connection: &mut PgConnection, user: NewUser<'_>) -> sqlx::Result<bool> {
    let inserted = sqlx::query!(
        "INSERT INTO users (id, email, email_key, display_name, password_hash, pepper_id, created_at)
         SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT email_is_reserved($3, $1, $7)
         ON CONFLICT (email_key) DO NOTHING",
        user.id,
        user.email,
        user.email_key,
        user.display_name,
        user.password_hash.phc,
        user.password_hash.pepper_id,
        user.now
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

pub(crate) async fn user_by_id(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<User>> {
    sqlx::query_as!(
        User,
        r#"SELECT id AS "id!", email AS "email!", display_name AS "display_name!", created_at AS "created_at!",
                  email_confirmed_at IS NOT NULL AS "email_confirmed!"
           FROM own_user($1)"#,
        id
    )
    .fetch_optional(pool)
    .await
}

/// Answers false when there is no such user any more, or their password was changed since it was checked. The row is locked,
/// so that a change under way either sees this session and ends it, or is seen here.
pub(crate) async fn insert_session(
    connection: &mut PgConnection,
    session: &Session,
    password_version: i64,
    hmac_key_sealed: &[u8],
) -> sqlx::Result<bool> {
    let inserted = sqlx::query!(
        "INSERT INTO sessions (id, user_id, generation, hmac_key_sealed, auth_epoch, user_agent,
                               created_at, expires_at, rotated_at, address, amr)
         SELECT $1, users.id, $3, $4, users.auth_epoch, $5, $6, $7, $8, $9, $11
         FROM users WHERE users.id = $2 AND users.password_version = $10
         FOR SHARE",
        session.id,
        session.user_id,
        session.state.generation,
        hmac_key_sealed,
        session.user_agent,
        session.created_at,
        session.state.expires_at,
        session.state.rotated_at,
        session.address,
        password_version,
        &session.authentication.methods
    )
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Makes the transaction the owner's and locks the session until its end: refreshes of one session go one by one.
pub(crate) async fn lock_session(connection: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<LockedSession>> {
    let owner = sqlx::query_scalar!("SELECT adopt_owner_of_session($1)", id)
        .fetch_one(&mut *connection)
        .await?;
    let Some(owner) = owner else {
        return Ok(None);
    };
    let row = sqlx::query!(
        r#"SELECT sessions.generation, sessions.hmac_key_sealed, sessions.user_agent, sessions.name, sessions.address,
                  sessions.created_at, sessions.expires_at, sessions.rotated_at, sessions.revoked_at IS NOT NULL AS "revoked!",
                  sessions.auth_epoch <> users.auth_epoch OR users.disabled_at IS NOT NULL AS "epoch_is_over!", users.role,
                  sessions.amr, coalesce(sessions.reauthenticated_at, sessions.created_at) AS "authenticated_at!"
           FROM sessions JOIN users ON users.id = sessions.user_id
           WHERE sessions.id = $1 AND sessions.user_id = $2
           FOR UPDATE OF sessions"#,
        id,
        owner
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(LockedSession {
        hmac_key_sealed: row.hmac_key_sealed,
        role: row.role.parse()?,
        session: Session {
            id,
            user_id: owner,
            user_agent: row.user_agent,
            name: row.name,
            address: row.address,
            created_at: row.created_at,
            authentication: Authentication {
                at: row.authenticated_at,
                methods: row.amr,
            },
            state: SessionState {
                generation: row.generation,
                rotated_at: row.rotated_at,
                expires_at: row.expires_at,
                revoked: row.revoked,
                epoch_is_over: row.epoch_is_over,
            },
        },
    }))
}

pub(crate) async fn rotate_session(connection: &mut PgConnection, session: &Session) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE sessions SET generation = $3, rotated_at = $4, address = $5 WHERE id = $1 AND user_id = $2",
        session.id,
        session.user_id,
        session.state.generation,
        session.state.rotated_at,
        session.address
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Answers false when the session had ended before, or is not this user's.
pub(crate) async fn end_session(
    connection: &mut PgConnection,
    user_id: Uuid,
    id: Uuid,
    reason: EndReason,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let ended = sqlx::query!(
        "UPDATE sessions SET revoked_at = $3, revoked_reason = $4
         WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL",
        id,
        user_id,
        now,
        reason.as_str()
    )
    .execute(connection)
    .await?;
    Ok(ended.rows_affected() == 1)
}

pub(crate) async fn session_is_live(
    executor: impl PgExecutor<'_>,
    user_id: Uuid,
    id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT session_is_live($1, $2, $3) AS "live!""#, user_id, id, now)
        .fetch_one(executor)
        .await
}

/// Revoked API tokens are among them.
pub(crate) async fn ended_sessions(pool: &PgPool, since: OffsetDateTime) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(r#"SELECT id AS "id!" FROM ended_sessions($1) AS id"#, since)
        .fetch_all(pool)
        .await
}

impl EndReason {
    fn as_str(self) -> &'static str {
        match self {
            EndReason::Logout => "logout",
            EndReason::Reuse => "reuse",
            EndReason::Ended => "ended",
            EndReason::PasswordChanged => "password_changed",
            EndReason::EndedByAdmin => "ended_by_admin",
        }
    }
}
