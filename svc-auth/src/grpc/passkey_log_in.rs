//! Logging in with a passkey alone, and looking at one that is shown.

use bookmesh_proto::auth::v1::{CreatePasskeySessionRequest, SessionTokens};
use service::postgres;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Auth,
    opening::{self, Recognised},
    proofs::{self, Factor},
    standing,
};
use crate::{
    audit::{Action, Event, Outcome},
    authentication::Authentication,
    error::{Error, FactorError},
    origin::Origin,
    passkey::{Assertion, Checked},
    store::{self, LockedPasskey},
};

/// What a passkey that was shown is worth.
pub(super) enum Verdict {
    Right,
    Wrong,
    /// Of the passkey with this id there may be two copies.
    Regressed(Uuid),
}

/// The device says whose key it is; that this is so, the signature shows. It asked for a finger, a face or a PIN besides, so that no
/// second factor is due.
pub(super) async fn log_in(
    auth: &Auth,
    request: CreatePasskeySessionRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<SessionTokens, Error> {
    let answer = request.answer.unwrap_or_default();
    let assertion = auth
        .relying_party
        .parse_assertion("answer", &answer.ceremony, &answer.credential, now)?;
    let user_id = assertion.user_id;

    let mut transaction = postgres::begin(&auth.pool, user_id).await?;
    let held = standing::hold(&mut transaction, user_id).await?;
    // Whoever names a key that this user does not have is not worth a line in the user's log: anybody could write there.
    let known = store::lock_passkey(&mut transaction, user_id, assertion.credential_id()).await?;
    let login = store::password_of(&mut transaction, user_id).await?;
    let (Some(held), Some(_), Some(login)) = (held, known, login) else {
        return Err(Error::Factor(FactorError::WrongPasskey));
    };
    let tried = Event::new(Some(user_id), Action::LogIn, Outcome::Succeeded, origin, now);
    let factor = Factor::Passkey(Box::new(assertion));
    let right = proofs::look_at(auth, transaction, user_id, &factor, tried).await?;
    // A right one is used up also where it opens nothing, so that nobody shows it again once the account is open.
    let (transaction, role) = held.admit(auth, right.transaction, origin, now).await?;
    let recognised = Recognised {
        user_id,
        role,
        password_version: login.password_version,
        authentication: Authentication::by_passkey(now),
        device: None,
        noted: right.noted,
    };
    let tokens = opening::open(auth, transaction, recognised, origin, now).await?;
    tokens.ok_or(Error::Factor(FactorError::WrongPasskey))
}

/// Keeps the new counter and uses the ceremony up, which the transaction must commit.
pub(super) async fn judge(
    auth: &Auth,
    connection: &mut PgConnection,
    user_id: Uuid,
    assertion: &Assertion,
    now: OffsetDateTime,
) -> Result<Verdict, Error> {
    if assertion.user_id != user_id {
        return Ok(Verdict::Wrong);
    }
    let locked = store::lock_passkey(connection, user_id, assertion.credential_id()).await?;
    let Some(LockedPasskey { id, credential }) = locked else {
        return Ok(Verdict::Wrong);
    };
    let credential = match auth.relying_party.check(assertion, &credential)? {
        Checked::Right(credential) => credential,
        Checked::Wrong => return Ok(Verdict::Wrong),
        Checked::Regressed => return Ok(Verdict::Regressed(id)),
    };
    if !store::use_ceremony(connection, user_id, assertion.ceremony, now).await? {
        return Ok(Verdict::Wrong);
    }
    store::note_passkey_use(connection, user_id, &LockedPasskey { id, credential }, now).await?;
    Ok(Verdict::Right)
}
