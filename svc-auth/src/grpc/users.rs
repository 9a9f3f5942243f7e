//! Registering, and who am I.

use bookmesh_proto::auth::v1::{CreateUserRequest, User};
use service::{caller::UserCaller, id, postgres, time::to_proto};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Auth, confirmations, invitations};
use crate::{
    audit::{Action, Event, Outcome},
    error::Error,
    mail_token::MailToken,
    mails::{Addressee, Mail, MailKind, NOTICE_LIFE},
    origin::Origin,
    password::{Caller, StoredHash},
    registration::{Email, Registration},
    store::{self, NewUser},
};

/// A checked request, its password hashed.
struct Newcomer {
    id: Uuid,
    email: Email,
    display_name: String,
    password_hash: StoredHash,
    invitation: Option<MailToken>,
}

pub(super) async fn create(
    auth: &Auth,
    request: CreateUserRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<User, Error> {
    let invitation = invitations::admit(auth.registering, &request.invitation_token)?;
    let registration = Registration::parse(request.email, request.password, request.display_name)?;
    registration.password.refuse_breached("password")?;
    if let Some(token) = &invitation {
        invitations::require(auth, token, &registration.email, now).await?;
    }
    // Hashed before anybody looks whether the address is taken: the answer takes as long either way.
    let place = auth.hasher.enter(Caller::Stranger)?;
    let newcomer = Newcomer {
        id: id::generate(),
        password_hash: auth.hasher.hash(registration.password, place).await?,
        email: registration.email,
        display_name: registration.display_name,
        invitation,
    };
    let is_confirmed = newcomer.invitation.is_some();
    if let Err(error) = insert(auth, &newcomer, origin, now).await {
        let is_hidden = matches!(error, Error::EmailTaken) && auth.email_confirmation.is_required() && !is_confirmed;
        if !is_hidden {
            return Err(error);
        }
        tell_owner(auth, &newcomer.email, origin, now).await?;
    }
    Ok(User {
        id: newcomer.id.to_string(),
        email: newcomer.email.as_str().to_owned(),
        display_name: newcomer.display_name,
        create_time: Some(to_proto(now)),
        email_confirmed: is_confirmed,
    })
}

/// Whoever was invited has shown by the token that they read the address; all others are mailed one that shows it.
async fn insert(auth: &Auth, newcomer: &Newcomer, origin: &Origin, now: OffsetDateTime) -> Result<(), Error> {
    let (user_id, email) = (newcomer.id, &newcomer.email);
    let mut event = Event::new(Some(user_id), Action::UserRegistered, Outcome::Succeeded, origin, now);
    let user = NewUser {
        id: user_id,
        email: email.as_str(),
        email_key: &email.key(),
        display_name: &newcomer.display_name,
        password_hash: &newcomer.password_hash,
        now,
    };

    let mut transaction = postgres::begin(&auth.pool, user_id).await?;
    if let Some(token) = &newcomer.invitation {
        event = event.done_to(invitations::accept(&mut transaction, token, email, user_id, now).await?);
    }
    if !store::insert_user(&mut transaction, user).await? {
        return Err(Error::EmailTaken);
    }
    let is_admin = store::make_first_user_admin(&mut transaction, user_id).await?;
    match newcomer.invitation {
        Some(_) => store::confirm_email(&mut transaction, user_id, now).await?,
        None => confirmations::put_within_share(auth, &mut transaction, user_id, email, now).await?,
    }
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;
    auth.mails.wake();

    tracing::info!(user.id = %user_id, is_admin, "user registered");
    Ok(())
}

/// About as much work as to make an account. Whoever asked is told nothing.
async fn tell_owner(auth: &Auth, email: &Email, origin: &Origin, now: OffsetDateTime) -> Result<(), Error> {
    let Some(owner) = store::user_for_login(&auth.pool, &email.key()).await? else {
        // Gone meanwhile, or kept for somebody who may take it back.
        return Ok(());
    };
    let kind = MailKind::RegisteredBefore;
    let event = Event::new(
        Some(owner.user_id),
        Action::UserRegistered,
        Outcome::Refused,
        origin,
        now,
    );

    let mut transaction = postgres::begin(&auth.pool, owner.user_id).await?;
    let account = store::account_of(&mut transaction, owner.user_id).await?;
    let Some(account) = account else { return Ok(()) };
    if auth.mails.has_room(&mut transaction, &account.email, kind, now).await? {
        let to = Addressee {
            user_id: Some(account.user_id),
            email: &account.email,
        };
        let letter = auth.mails.letters.registered_before(account.email.as_str());
        auth.mails
            .put(
                &mut transaction,
                Mail {
                    to,
                    kind,
                    letter: &letter,
                    life: NOTICE_LIFE,
                },
                now,
            )
            .await?;
    }
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;
    auth.mails.wake();
    Ok(())
}

pub(super) async fn get(auth: &Auth, caller: &UserCaller, now: OffsetDateTime) -> Result<User, Error> {
    auth.hot_sessions
        .require_live(caller.user_id, caller.session_id, now)
        .await?;

    let user = store::user_by_id(&auth.pool, caller.user_id).await?;

    user.map(User::from).ok_or(Error::UserNotFound)
}

impl From<store::User> for User {
    fn from(user: store::User) -> User {
        User {
            id: user.id.to_string(),
            email: user.email,
            display_name: user.display_name,
            create_time: Some(to_proto(user.created_at)),
            email_confirmed: user.email_confirmed,
        }
    }
}
