//! Accounts at providers that are linked to one here: linked, listed, unlinked.

use bookmesh_proto::auth::v1::{self as proto, ListIdentitiesResponse, OidcAttempt};
use service::{caller::UserCaller, id, postgres, time::to_proto};
use time::OffsetDateTime;

use super::{
    Auth,
    audit::note_alone,
    oidc_attempts,
    oidc_log_in::{is_refusal, new_identity},
    own_sessions::event_of,
    step_up, ways_in,
};
use crate::{
    audit::Action,
    error::{Error, OidcError},
    letters::WayIn,
    oidc::{Given, Person},
    origin::Origin,
    store::{self, Identity, Whose},
};

/// The step-up stands at the start. The end takes the same session, with a second factor when the account has one by then, and the
/// secrets of the start.
pub(super) async fn start(
    auth: &Auth,
    caller: &UserCaller,
    provider_id: &str,
    redirect_uri: String,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<OidcAttempt, Error> {
    let prepared = oidc_attempts::prepare(auth, provider_id, redirect_uri, now).await?;

    let mut transaction = step_up::begin(auth, caller, Action::IdentityLinked, origin, now).await?;
    let attempt = prepared.store(auth, &mut transaction, whose(caller), now).await?;
    transaction.commit().await?;

    Ok(attempt)
}

pub(super) async fn complete(
    auth: &Auth,
    caller: &UserCaller,
    given: &Given,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<proto::Identity, Error> {
    let linked = match oidc_attempts::recognise(auth, given, whose(caller), now).await {
        Ok(person) => link(auth, caller, &person, origin, now).await,
        Err(error) => Err(error),
    };
    match linked {
        Ok(identity) => Ok(message(identity)),
        Err(error) if is_refusal(&error) || matches!(error, Error::Oidc(OidcError::IdentityTaken)) => {
            note_alone(auth, event_of(caller, Action::IdentityLinked, origin, now).refused()).await?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

pub(super) async fn list(
    auth: &Auth,
    caller: &UserCaller,
    now: OffsetDateTime,
) -> Result<ListIdentitiesResponse, Error> {
    auth.hot_sessions
        .require_live(caller.user_id, caller.session_id, now)
        .await?;

    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    let identities = store::list_identities(&mut transaction, caller.user_id).await?;
    transaction.commit().await?;

    Ok(ListIdentitiesResponse {
        identities: identities.into_iter().map(message).collect(),
    })
}

pub(super) async fn unlink(
    auth: &Auth,
    caller: &UserCaller,
    id: &str,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    // A malformed id names nothing, exactly like an unknown one.
    let identity_id = id::parse("id", id).map_err(|_| OidcError::IdentityNotFound)?;
    let user_id = caller.user_id;

    let mut transaction = step_up::begin(auth, caller, Action::IdentityUnlinked, origin, now).await?;
    if !store::delete_identity(&mut transaction, user_id, identity_id).await? {
        return Err(OidcError::IdentityNotFound.into());
    }
    if !store::has_way_in(&mut transaction, user_id).await? {
        return Err(OidcError::LastWayIn.into());
    }
    let event = event_of(caller, Action::IdentityUnlinked, origin, now).done_to(identity_id);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;

    tracing::info!(user.id = %user_id, identity.id = %identity_id, "identity unlinked");
    Ok(())
}

/// Linking what is linked already changes nothing, so that a caller whose answer was lost can start anew.
async fn link(
    auth: &Auth,
    caller: &UserCaller,
    person: &Person,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<Identity, Error> {
    let identity = new_identity(caller.user_id, person, now);
    let event = event_of(caller, Action::IdentityLinked, origin, now).done_to(identity.id);

    let mut transaction = step_up::begin_end(auth, caller, Action::IdentityLinked, origin, now).await?;
    let is_new = store::insert_identity(&mut transaction, identity).await?;
    let own = store::own_identity(&mut transaction, caller.user_id, &person.issuer).await?;
    let own = own.ok_or(OidcError::IdentityTaken)?;
    if own.subject != person.subject {
        return Err(OidcError::ProviderAlreadyLinked.into());
    }
    if is_new {
        ways_in::tell_of_added(auth, &mut transaction, caller.user_id, WayIn::Identity, now).await?;
        store::append_event(&mut transaction, &auth.audit_key, event).await?;
    }
    transaction.commit().await?;
    auth.mails.wake();

    tracing::info!(user.id = %caller.user_id, identity.id = %own.id, "identity linked");
    Ok(own)
}

fn whose(caller: &UserCaller) -> Whose {
    Whose {
        user_id: Some(caller.user_id),
        session_id: Some(caller.session_id),
    }
}

fn message(identity: Identity) -> proto::Identity {
    proto::Identity {
        id: identity.id.to_string(),
        provider_id: identity.provider_id,
        issuer: identity.issuer,
        subject: identity.subject,
        create_time: Some(to_proto(identity.created_at)),
        last_used_time: identity.last_used_at.map(to_proto),
    }
}
