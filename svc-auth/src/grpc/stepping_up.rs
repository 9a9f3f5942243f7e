//! The RPC by which the user of a session shows again who they are.

use bookmesh_proto::auth::v1::{SessionTokens, StepUpSessionRequest};
use service::{caller::UserCaller, clock, postgres, status::Violation};
use time::OffsetDateTime;

use super::{
    Auth, current_password,
    own_sessions::{event_of, require_live},
    proofs::{self, Factor},
    sessions::{purpose, tokens},
};
use crate::{
    audit::Action,
    authentication::Authentication,
    domain::{Session, SessionState},
    error::Error,
    origin::Origin,
    refresh_token::RefreshKey,
    registration::Password,
    store::{self, Login},
};

/// What the user shows, within its rules.
struct Given {
    password: Password,
    factor: Option<Factor>,
}

/// The session's tokens are replaced, so that what was known of it before is not worth more than it was.
pub(super) async fn step_up(
    auth: &Auth,
    caller: &UserCaller,
    request: StepUpSessionRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<SessionTokens, Error> {
    let Given { password, factor } = Given::parse(request)?;
    let login = look_up(auth, caller, factor.is_some(), now).await?;
    let refused = event_of(caller, Action::SteppedUp, origin, now).refused();
    let given = current_password::Given {
        password,
        field: "password",
    };
    current_password::require(auth, caller, given, &login, refused, now).await?;
    // Hashing may have waited.
    apply(auth, caller, factor, origin, clock::now()).await
}

/// Refuses before the password is hashed when a second factor is missing.
async fn look_up(auth: &Auth, caller: &UserCaller, has_factor: bool, now: OffsetDateTime) -> Result<Login, Error> {
    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    require_live(&mut transaction, caller, now).await?;
    if !has_factor && store::has_second_factor(&mut transaction, caller.user_id).await? {
        let rule = "must be given, or another second factor: the account has one";
        return Err(Violation::new("totp_code", rule).into());
    }
    let login = store::password_of(&mut transaction, caller.user_id).await?;
    transaction.commit().await?;
    login.ok_or(Error::UserNotFound)
}

async fn apply(
    auth: &Auth,
    caller: &UserCaller,
    factor: Option<Factor>,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<SessionTokens, Error> {
    let event = event_of(caller, Action::SteppedUp, origin, now);
    let (mut noted, mut recovery_codes_left) = (None, None);
    let mut authentication = Authentication::by_password(now);

    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    // Locks the session first, as a refresh does. A password that was changed meanwhile has ended it.
    let locked = store::lock_session(&mut transaction, caller.session_id).await?;
    let locked = locked.ok_or(Error::SessionEnded)?;
    require_live(&mut transaction, caller, now).await?;
    if let Some(factor) = &factor {
        let right = proofs::look_at(auth, transaction, factor, event.clone()).await?;
        transaction = right.transaction;
        authentication = authentication.and(right.method, now);
        (noted, recovery_codes_left) = (right.noted, right.recovery_codes_left);
    }
    let session = stepped_up(locked.session, authentication, origin, now);
    store::step_session_up(&mut transaction, &session).await?;
    for event in noted.into_iter().chain([event]) {
        store::append_event(&mut transaction, &auth.audit_key, event).await?;
    }
    transaction.commit().await?;

    tracing::info!(user.id = %session.user_id, session.id = %session.id, "session stepped up");
    let key = RefreshKey::new(&auth.master_key.open(&purpose(session.id), &locked.hmac_key_sealed)?);
    Ok(SessionTokens {
        recovery_codes_left,
        ..tokens(auth, &session, locked.role, &key, now).await?
    })
}

/// A new generation: the refresh token before it gets the same answer for a few seconds, as after a refresh.
fn stepped_up(session: Session, authentication: Authentication, origin: &Origin, now: OffsetDateTime) -> Session {
    Session {
        address: origin.address_text(),
        authentication,
        state: SessionState {
            generation: session.state.generation + 1,
            rotated_at: now,
            ..session.state
        },
        ..session
    }
}

impl Given {
    fn parse(request: StepUpSessionRequest) -> Result<Given, Violation> {
        let password = Password::parse_given(request.password)?;
        let factor = Factor::parse(&request.totp_code, &request.recovery_code)?;
        Ok(Given { password, factor })
    }
}
