//! Forgotten passwords: a mail to whoever has the address, and a new password for whoever reads it.

use bookmesh_proto::auth::v1::{RequestPasswordResetRequest, ResetPasswordRequest};
use service::{clock, postgres, status::Violation};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Auth,
    accounts::{begin_with_token, lock_out, require_token},
    ways_in,
};
use crate::{
    account_error::AccountError,
    attempts::{Attempt, Kind},
    audit::{Action, Event, Outcome},
    error::Error,
    mail_token::{MailToken, NewMailToken, TokenPurpose},
    mails::{Addressee, Mail, MailKind, NOTICE_LIFE},
    origin::Origin,
    password::{Caller, StoredHash},
    registration::{Email, Password, named},
    store::{self, NewTokenRow},
};

const PURPOSE: TokenPurpose = TokenPurpose::ResetPassword;

/// The same answer and the same work whether or not there is such an account: what is written for none is never sent.
pub(super) async fn request(
    auth: &Auth,
    request: RequestPasswordResetRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let email = Email::parse(request.email)?;
    count(auth, origin, now).await?;
    let login = store::user_for_login(&auth.pool, &email.key()).await?;
    let user_id = login.map(|login| login.user_id);

    let mut transaction = match user_id {
        Some(user_id) => postgres::begin(&auth.pool, user_id).await?,
        None => postgres::begin_unowned(&auth.pool).await?,
    };
    // As it was given by its owner, which may differ in case from what somebody typed here.
    let account = store::account_of(&mut transaction, user_id.unwrap_or_default()).await?;
    let owned_email = account.map_or(email, |account| account.email);
    // Beyond its share an address gets no mail, and the token of the last one goes on counting.
    let kind = MailKind::PasswordReset;
    if !auth.mails.has_room(&mut transaction, &owned_email, kind, now).await? {
        tracing::info!("so many mails to set a new password were asked for that this one is not sent");
        return Ok(());
    }
    put(auth, &mut transaction, user_id, &owned_email, now).await?;
    let outcome = user_id.map_or(Outcome::Refused, |_| Outcome::Succeeded);
    let event = Event::new(user_id, Action::PasswordResetRequested, outcome, origin, now);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;
    auth.mails.wake();

    tracing::info!(
        user.id = user_id.map(tracing::field::display),
        "mail to set a new password asked for"
    );
    Ok(())
}

/// Nothing is compared here that would cost anybody time, so that without an end to it the audit log and the queue would have none either. Refusals
/// are not noted.
async fn count(auth: &Auth, origin: &Origin, now: OffsetDateTime) -> Result<(), Error> {
    let attempt = Attempt {
        kind: Kind::Reset,
        account: None,
        device: None,
        address: origin.address,
    };
    match auth.attempts.begin(attempt, now).await {
        // Stays counted.
        Ok(_counted) => Ok(()),
        Err(refused) => Err(Error::TooManyAttempts {
            retry_after: refused.retry_after,
        }),
    }
}

/// Withdraws the token before, and puts another with its mail.
pub(super) async fn put(
    auth: &Auth,
    connection: &mut PgConnection,
    user_id: Option<Uuid>,
    email: &Email,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let token = NewMailToken::generate();
    let to = Addressee { user_id, email };
    let letter = auth.mails.letters.password_reset(email.as_str(), &token);
    let (kind, life) = (MailKind::PasswordReset, PURPOSE.life());
    let Some(user_id) = user_id else {
        store::put_decoy_token(connection, PURPOSE, &token.hash, now).await?;
        return auth
            .mails
            .put_decoy(
                connection,
                Mail {
                    to,
                    kind,
                    letter: &letter,
                    life,
                },
                now,
            )
            .await;
    };
    let row = NewTokenRow {
        user_id,
        purpose: PURPOSE,
        hash: &token.hash,
        email: None,
        now,
    };
    store::put_mail_token(connection, row).await?;
    auth.mails
        .put(
            connection,
            Mail {
                to,
                kind,
                letter: &letter,
                life,
            },
            now,
        )
        .await
}

/// Whoever knew the old password, or has found a way in, is out. Nobody is in: the second factor of an account whose address was
/// confirmed is still asked for at the next log-in.
pub(super) async fn reset(
    auth: &Auth,
    request: ResetPasswordRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let keep_api_tokens = request.keep_api_tokens;
    let (token, new) = parse(request)?;
    require_token(auth, PURPOSE, &token, now).await?;
    new.refuse_breached("new_password")?;
    let place = auth.hasher.enter(Caller::Stranger)?;
    let new = auth.hasher.hash(new, place).await?;

    // Hashing may have waited.
    apply(auth, &token, &new, keep_api_tokens, origin, clock::now()).await
}

async fn apply(
    auth: &Auth,
    token: &MailToken,
    new: &StoredHash,
    keep_api_tokens: bool,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let (mut transaction, account) = begin_with_token(auth, PURPOSE, token).await?;
    let user_id = account.user_id;
    let used = store::use_mail_token(&mut transaction, user_id, PURPOSE, token, now).await?;
    used.ok_or(Error::Account(AccountError::MailTokenInvalid))?;
    // Whoever had a way in may have begun a change of address.
    store::withdraw_mail_tokens(&mut transaction, user_id).await?;
    store::set_password(&mut transaction, user_id, new, now).await?;
    notify(auth, &mut transaction, user_id, &account.email, now).await?;
    let is_known_owner = account.email_confirmed;
    let keep_api_tokens = keep_api_tokens && is_known_owner;
    let ended = lock_out(auth, &mut transaction, user_id, keep_api_tokens, origin, now).await?;
    if !is_known_owner {
        // Nobody had shown before that the account is theirs: whoever made it may be a stranger, and all that they added is theirs.
        ways_in::take_away(auth, &mut transaction, user_id, OffsetDateTime::UNIX_EPOCH, origin, now).await?;
    }
    let event = Event::new(Some(user_id), Action::PasswordReset, Outcome::Succeeded, origin, now);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;
    for session_id in &ended {
        auth.hot_sessions.note_end(*session_id).await;
    }
    auth.mails.wake();

    tracing::info!(user.id = %user_id, sessions = ended.len(), "password reset, all sessions ended");
    Ok(())
}

/// Tells the owner that the password was changed.
pub(super) async fn notify(
    auth: &Auth,
    connection: &mut PgConnection,
    user_id: Uuid,
    email: &Email,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let to = Addressee {
        user_id: Some(user_id),
        email,
    };
    let letter = auth.mails.letters.password_changed(email.as_str());
    let mail = Mail {
        to,
        kind: MailKind::Notice,
        letter: &letter,
        life: NOTICE_LIFE,
    };
    auth.mails.put(connection, mail, now).await
}

/// A broken rule of the password is told whatever the token is: it is the same for everybody.
fn parse(request: ResetPasswordRequest) -> Result<(MailToken, Password), Error> {
    if request.token.is_empty() {
        return Err(Violation::new("token", "must not be empty").into());
    }
    let new = named("new_password", Password::parse_new(request.new_password))?;
    let token = MailToken::parse(&request.token).ok_or(Error::Account(AccountError::MailTokenInvalid))?;
    Ok((token, new))
}
