//! Changing the address of an account: begun by its user, completed by whoever reads the new address, undone by whoever reads the old.

use base64::{Engine, prelude::BASE64_STANDARD};
use bookmesh_proto::auth::v1::{ChangeEmailRequest, UndoEmailChangeRequest};
use service::{caller::UserCaller, clock, status::Violation};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Auth,
    accounts::{begin_with_token, lock_out, require_token},
    audit::note_alone,
    own_sessions::event_of,
    resets, step_up, ways_in,
};
use crate::{
    account_error::AccountError,
    audit::{Action, Event, Outcome},
    error::Error,
    mail_token::{MailToken, NewMailToken, TokenPurpose},
    mails::{Addressee, Mail, MailKind},
    origin::Origin,
    password::{Caller, StoredHash, random_bytes},
    registration::{Email, Password, named},
    store::{self, Account, NewTokenRow},
};

/// Whether the new address is taken is not told: it is decided when the change is completed, by somebody who reads its mail.
pub(super) async fn begin(
    auth: &Auth,
    caller: &UserCaller,
    request: ChangeEmailRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let new = named("new_email", Email::parse(request.new_email))?;

    let action = Action::EmailChangeRequested;
    let mut transaction = step_up::begin(auth, caller, action, origin, now).await?;
    let account = store::account_of(&mut transaction, caller.user_id).await?;
    let account = account.ok_or(Error::UserNotFound)?;
    if account.email == new {
        return Err(Violation::new("new_email", "must not be the current one").into());
    }
    let (to_new, to_old) = (MailKind::EmailChange, MailKind::EmailChangeNotice);
    let has_room = auth.mails.has_room(&mut transaction, &new, to_new, now).await?
        // Accounts without an address have none that is told, and share nothing.
        && (account.email.is_missing()
            || auth
                .mails
                .has_room(&mut transaction, &account.email, to_old, now)
                .await?);
    if !has_room {
        return Err(Error::Account(AccountError::TooManyMails));
    }
    put_token(auth, &mut transaction, caller.user_id, &new, now).await?;
    if !account.email.is_missing() {
        put_notice(auth, &mut transaction, &account, &new, now).await?;
    }
    let event = event_of(caller, action, origin, now);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;
    auth.mails.wake();

    tracing::info!(user.id = %caller.user_id, "change of address asked for");
    Ok(())
}

/// The address is the account's from here on, unless somebody else has it: the index decides.
pub(super) async fn complete(
    auth: &Auth,
    token: &MailToken,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let purpose = TokenPurpose::ChangeEmail;
    let (mut transaction, account) = begin_with_token(auth, purpose, token).await?;
    let user_id = account.user_id;
    let used = store::use_mail_token(&mut transaction, user_id, purpose, token, now).await?;
    let email = used
        .and_then(|used| used.email)
        .ok_or(Error::Account(AccountError::MailTokenInvalid))?;
    let event = Event::new(Some(user_id), Action::EmailChanged, Outcome::Succeeded, origin, now);
    if !store::change_email(&mut transaction, user_id, &email, now).await? {
        transaction.rollback().await?;
        note_alone(auth, event.refused()).await?;
        return Err(Error::EmailTaken);
    }
    // They were mailed to the address before.
    store::withdraw_mail_tokens(&mut transaction, user_id).await?;
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;

    tracing::info!(user.id = %user_id, "address changed");
    Ok(())
}

/// Somebody who was logged in, and so knew the password, gave the account another address: they are locked out, with what they may
/// have added to log in with, and whoever reads the old address sets a new password.
pub(super) async fn undo(
    auth: &Auth,
    request: &UndoEmailChangeRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let token = MailToken::parse(&request.token).ok_or(Error::Account(AccountError::MailTokenInvalid))?;
    require_token(auth, TokenPurpose::UndoEmailChange, &token, now).await?;
    let nobody_knows = Password::parse_given(BASE64_STANDARD.encode(random_bytes::<32>()))?;
    let place = auth.hasher.enter(Caller::Stranger)?;
    let useless = auth.hasher.hash(nobody_knows, place).await?;

    // Hashing may have waited.
    apply_undo(auth, &token, &useless, origin, clock::now()).await
}

async fn apply_undo(
    auth: &Auth,
    token: &MailToken,
    useless: &StoredHash,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let purpose = TokenPurpose::UndoEmailChange;
    let (mut transaction, account) = begin_with_token(auth, purpose, token).await?;
    let user_id = account.user_id;
    let used = store::use_mail_token(&mut transaction, user_id, purpose, token, now).await?;
    let used = used.ok_or(Error::Account(AccountError::MailTokenInvalid))?;
    let email = used.email.ok_or(Error::Account(AccountError::MailTokenInvalid))?;
    // Later changes were not the owner's either: nobody takes the account back to an address of theirs.
    store::withdraw_undo_tokens(&mut transaction, user_id, used.created_at).await?;
    store::withdraw_mail_tokens(&mut transaction, user_id).await?;
    if !store::change_email(&mut transaction, user_id, &email, now).await? {
        return Err(Error::EmailTaken);
    }
    store::set_password(&mut transaction, user_id, useless, now).await?;
    resets::put(auth, &mut transaction, Some(user_id), &email, now).await?;
    let ended = lock_out(auth, &mut transaction, user_id, false, origin, now).await?;
    // A thief adds ways in before the change too. Those that are older than what can be undone are the owner's.
    let since = used.created_at - purpose.life();
    ways_in::take_away(auth, &mut transaction, user_id, since, origin, now).await?;
    let event = Event::new(
        Some(user_id),
        Action::EmailChangeUndone,
        Outcome::Succeeded,
        origin,
        now,
    );
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;
    for session_id in &ended {
        auth.hot_sessions.note_end(*session_id).await;
    }
    auth.mails.wake();

    tracing::info!(user.id = %user_id, sessions = ended.len(), "change of address undone, all sessions ended");
    Ok(())
}

async fn put_token(
    auth: &Auth,
    connection: &mut PgConnection,
    user_id: Uuid,
    new: &Email,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let purpose = TokenPurpose::ChangeEmail;
    let token = NewMailToken::generate();
    let row = NewTokenRow {
        user_id,
        purpose,
        hash: &token.hash,
        email: Some(new),
        now,
    };
    store::put_mail_token(connection, row).await?;
    let to = Addressee {
        user_id: Some(user_id),
        email: new,
    };
    let letter = auth.mails.letters.email_change(new.as_str(), &token);
    auth.mails
        .put(
            connection,
            Mail {
                to,
                kind: MailKind::EmailChange,
                letter: &letter,
                life: purpose.life(),
            },
            now,
        )
        .await
}

/// Nobody has shown that they read an unconfirmed address: it may be a stranger's, who must not be able to take the account. What is
/// put in its place is not sent, and counts.
async fn put_notice(
    auth: &Auth,
    connection: &mut PgConnection,
    account: &Account,
    new: &Email,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let (purpose, kind) = (TokenPurpose::UndoEmailChange, MailKind::EmailChangeNotice);
    let token = NewMailToken::generate();
    let old = &account.email;
    let to = Addressee {
        user_id: Some(account.user_id),
        email: old,
    };
    let letter = auth
        .mails
        .letters
        .email_change_notice(old.as_str(), new.as_str(), &token);
    if !account.email_confirmed {
        return auth
            .mails
            .put_decoy(
                connection,
                Mail {
                    to,
                    kind,
                    letter: &letter,
                    life: purpose.life(),
                },
                now,
            )
            .await;
    }
    let row = NewTokenRow {
        user_id: account.user_id,
        purpose,
        hash: &token.hash,
        email: Some(old),
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
                life: purpose.life(),
            },
            now,
        )
        .await
}
