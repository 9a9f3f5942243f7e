//! Confirming that the address of an account is its user's.

use bookmesh_proto::auth::v1::ConfirmEmailRequest;
use service::{caller::UserCaller, postgres, status::Violation};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Auth, accounts::begin_with_token, email_changes, own_sessions::event_of, own_sessions::require_live};
use crate::{
    account_error::AccountError,
    audit::{Action, Event, Outcome},
    error::Error,
    mail_token::{MailToken, NewMailToken, TokenPurpose},
    mails::{Addressee, Mail, MailKind},
    origin::Origin,
    registration::Email,
    store::{self, NewTokenRow},
};

pub(super) async fn request(
    auth: &Auth,
    caller: &UserCaller,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    require_live(&mut transaction, caller, now).await?;
    let account = store::account_of(&mut transaction, caller.user_id).await?;
    let account = account.ok_or(Error::UserNotFound)?;
    if account.email.is_missing() {
        return Err(Violation::new("email", "must be there: the account has none").into());
    }
    if account.email_confirmed {
        return Ok(());
    }
    let kind = MailKind::Confirmation;
    if !auth.mails.has_room(&mut transaction, &account.email, kind, now).await? {
        return Err(Error::Account(AccountError::TooManyMails));
    }
    put(auth, &mut transaction, caller.user_id, &account.email, now).await?;
    let event = event_of(caller, Action::EmailConfirmationRequested, origin, now);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;
    auth.mails.wake();

    tracing::info!(user.id = %caller.user_id, "mail to confirm an address asked for");
    Ok(())
}

pub(super) async fn confirm(
    auth: &Auth,
    request: &ConfirmEmailRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let token = MailToken::parse(&request.token).ok_or(Error::Account(AccountError::MailTokenInvalid))?;
    let purpose = TokenPurpose::ConfirmEmail;
    let (mut transaction, account) = match begin_with_token(auth, purpose, &token).await {
        Err(Error::Account(AccountError::MailTokenInvalid)) => {
            return email_changes::complete(auth, &token, origin, now).await;
        }
        begun => begun?,
    };
    let user_id = account.user_id;
    let used = store::use_mail_token(&mut transaction, user_id, purpose, &token, now).await?;
    used.ok_or(Error::Account(AccountError::MailTokenInvalid))?;
    store::confirm_email(&mut transaction, user_id, now).await?;
    let event = Event::new(Some(user_id), Action::EmailConfirmed, Outcome::Succeeded, origin, now);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;

    tracing::info!(user.id = %user_id, "address confirmed");
    Ok(())
}

/// Puts nothing when the address has had its share of mails: the answer does not tell, and a later log-in or request mails another.
pub(super) async fn put_within_share(
    auth: &Auth,
    connection: &mut PgConnection,
    user_id: Uuid,
    email: &Email,
    now: OffsetDateTime,
) -> Result<(), Error> {
    if auth
        .mails
        .has_room(connection, email, MailKind::Confirmation, now)
        .await?
    {
        return put(auth, connection, user_id, email, now).await;
    }
    tracing::info!(user.id = %user_id, "so many mails to confirm an address were asked for that this one is not sent");
    Ok(())
}

/// Puts another token and its mail into the transaction of its user.
async fn put(
    auth: &Auth,
    connection: &mut PgConnection,
    user_id: Uuid,
    email: &Email,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let purpose = TokenPurpose::ConfirmEmail;
    let token = NewMailToken::generate();
    let row = NewTokenRow {
        user_id,
        purpose,
        hash: &token.hash,
        email: None,
        now,
    };
    store::put_mail_token(connection, row).await?;
    let to = Addressee {
        user_id: Some(user_id),
        email,
    };
    let letter = auth.mails.letters.confirmation(email.as_str(), &token);
    auth.mails
        .put(
            connection,
            Mail {
                to,
                kind: MailKind::Confirmation,
                letter: &letter,
                life: purpose.life(),
            },
            now,
        )
        .await
}

/// For a log-in that is refused because the address is not confirmed: when the last token has expired another is mailed, since without a
/// session nobody could ask for one.
pub(super) async fn put_again(
    auth: &Auth,
    connection: &mut PgConnection,
    user_id: Uuid,
    now: OffsetDateTime,
) -> Result<(), Error> {
    if store::has_mail_token(connection, user_id, TokenPurpose::ConfirmEmail, now).await? {
        return Ok(());
    }
    match store::account_of(connection, user_id).await? {
        Some(account) => put_within_share(auth, connection, user_id, &account.email, now).await,
        None => Ok(()),
    }
}
