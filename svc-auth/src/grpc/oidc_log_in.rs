//! Logging in at a provider. Whoever comes for the first time gets an account.

use bookmesh_proto::auth::v1::{OidcAttempt, SessionTokens};
use service::{id, postgres};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Auth,
    audit::note_alone,
    challenges, oidc_attempts,
    opening::{self, Recognised},
    standing,
};
use crate::{
    account_error::AccountError,
    admission::Registering,
    audit::{Action, Event, Outcome},
    authentication::Authentication,
    error::{Error, OidcError},
    oidc::{Given, Person},
    origin::Origin,
    registration::{Email, clean_display_name},
    store::{self, KnownIdentity, NewIdentity, Shown, UserWithoutPassword, Whose},
};

pub(super) async fn start(
    auth: &Auth,
    provider_id: &str,
    redirect_uri: String,
    now: OffsetDateTime,
) -> Result<OidcAttempt, Error> {
    let prepared = oidc_attempts::prepare(auth, provider_id, redirect_uri, now).await?;

    let mut transaction = postgres::begin_unowned(&auth.pool).await?;
    let attempt = prepared.store(auth, &mut transaction, Whose::default(), now).await?;
    transaction.commit().await?;

    Ok(attempt)
}

pub(super) async fn complete(
    auth: &Auth,
    given: &Given,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<SessionTokens, Error> {
    let person = match oidc_attempts::recognise(auth, given, Whose::default(), now).await {
        Ok(person) => person,
        // Anybody can make up a state: that is not worth a line.
        Err(error @ Error::Oidc(OidcError::AttemptUnknown)) => return Err(error),
        Err(error) => return Err(note_refusal(auth, None, error, origin, now).await),
    };
    let identity = match find_or_register(auth, &person, origin, now).await {
        Ok(identity) => identity,
        Err(error) => return Err(note_refusal(auth, None, error, origin, now).await),
    };
    open_session(auth, &identity, origin, now).await
}

async fn find_or_register(
    auth: &Auth,
    person: &Person,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<KnownIdentity, Error> {
    if let Some(known) = store::identity_for_log_in(&auth.pool, &person.issuer, &person.subject).await? {
        return Ok(known);
    }
    register(auth, person, origin, now).await?;
    // Whoever came first: the same person may have come twice at once.
    let known = store::identity_for_log_in(&auth.pool, &person.issuer, &person.subject).await?;
    Ok(known.ok_or(OidcError::LogInFailed)?)
}

/// An account without a password. Its address is one that the provider vouches for; who has it here already has to link the two:
/// the provider's word does not open an account that it did not make. Where registration is not open, nobody comes in this way
/// for the first time: an invitation is accepted with a password, and the two are linked then.
async fn register(auth: &Auth, person: &Person, origin: &Origin, now: OffsetDateTime) -> Result<(), Error> {
    let email = person.verified_email.clone().and_then(|email| Email::parse(email).ok());
    let email_key = email.as_ref().map(Email::key);
    let user_id = id::generate();
    let user = UserWithoutPassword {
        id: user_id,
        email: email.as_ref().map(Email::as_str).zip(email_key.as_deref()),
        display_name: &clean_display_name(&person.name),
        now,
    };
    let identity = new_identity(user_id, person, now);
    let event = Event::new(Some(user_id), Action::UserRegistered, Outcome::Succeeded, origin, now);
    let event = event.done_to(identity.id);

    let mut transaction = postgres::begin(&auth.pool, user_id).await?;
    let is_new = store::insert_user_without_password(&mut transaction, user).await?;
    if !is_new || !store::insert_identity(&mut transaction, identity).await? {
        transaction.rollback().await?;
        let is_known = store::identity_for_log_in(&auth.pool, &person.issuer, &person.subject).await?;
        return Ok(is_known.map(drop).ok_or(OidcError::LinkRequired)?);
    }
    if auth.registering != Registering::Open {
        transaction.rollback().await?;
        return Err(Error::Account(AccountError::RegistrationClosed));
    }
    let is_admin = store::make_first_user_admin(&mut transaction, user_id).await?;
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;

    tracing::info!(user.id = %user_id, is_admin, provider.id = person.provider_id, "user registered at an identity provider");
    Ok(())
}

async fn open_session(
    auth: &Auth,
    identity: &KnownIdentity,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<SessionTokens, Error> {
    let KnownIdentity {
        id,
        user_id,
        password_version,
    } = *identity;
    let authentication = Authentication::by_provider(now);

    let mut transaction = postgres::begin(&auth.pool, user_id).await?;
    let Some(held) = standing::hold(&mut transaction, user_id).await? else {
        transaction.rollback().await?;
        return Err(note_refusal(auth, Some(user_id), OidcError::LogInFailed.into(), origin, now).await);
    };
    let (mut transaction, role) = held.admit(auth, transaction, origin, now).await?;
    if !store::use_identity(&mut transaction, user_id, id, now).await? {
        transaction.rollback().await?;
        return Err(note_refusal(auth, Some(user_id), OidcError::LogInFailed.into(), origin, now).await);
    }
    let used = Event::new(Some(user_id), Action::IdentityUsed, Outcome::Succeeded, origin, now).done_to(id);
    if store::has_second_factor(&mut transaction, user_id).await? {
        let shown = Shown {
            password_version,
            methods: authentication.methods,
        };
        let tried = Event::new(Some(user_id), Action::LogIn, Outcome::Succeeded, origin, now);
        return Err(challenges::issue(auth, transaction, user_id, &shown, Some(used), tried).await?);
    }
    let recognised = Recognised {
        user_id,
        role,
        password_version,
        authentication,
        device: None,
        noted: Some(used),
    };
    match opening::open(auth, transaction, recognised, origin, now).await? {
        Some(tokens) => Ok(tokens),
        None => Err(note_refusal(auth, Some(user_id), OidcError::LogInFailed.into(), origin, now).await),
    }
}

pub(super) fn new_identity(user_id: Uuid, person: &Person, now: OffsetDateTime) -> NewIdentity<'_> {
    NewIdentity {
        id: id::generate(),
        user_id,
        provider_id: &person.provider_id,
        issuer: &person.issuer,
        subject: &person.subject,
        now,
    }
}

/// Refusals are noted, failures of ours or of the provider's are not.
async fn note_refusal(auth: &Auth, user_id: Option<Uuid>, error: Error, origin: &Origin, now: OffsetDateTime) -> Error {
    if !is_refusal(&error) {
        return error;
    }
    match note_alone(auth, Event::new(user_id, Action::LogIn, Outcome::Refused, origin, now)).await {
        Ok(()) => error,
        Err(failure) => failure,
    }
}

/// Whether somebody was refused who may not be who they say.
pub(super) fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Oidc(OidcError::AttemptUnknown | OidcError::LogInFailed | OidcError::LinkRequired)
    )
}
