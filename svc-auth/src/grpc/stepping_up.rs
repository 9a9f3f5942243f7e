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
enum Given {
    /// Which is enough by itself.
    Passkey(Factor),
    Password {
        password: Password,
        factor: Option<Factor>,
    },
}

/// What the user has shown when the factor, if any, is right.
struct Shown {
    authentication: Authentication,
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
    match Given::parse(auth, request, now)? {
        Given::Passkey(factor) => {
            let shown = Shown {
                authentication: Authentication::by_passkey(now),
                factor: Some(factor),
            };
            apply(auth, caller, shown, origin, now).await
        }
        Given::Password { password, factor } => {
            let login = look_up(auth, caller, factor.is_some(), now).await?;
            let refused = event_of(caller, Action::SteppedUp, origin, now).refused();
            let given = current_password::Given {
                password,
                field: "password",
            };
            current_password::require(auth, caller, given, &login, refused, now).await?;
            // Hashing may have waited.
            let now = clock::now();
            let mut authentication = Authentication::by_password(now);
            if let Some(factor) = &factor {
                authentication = authentication.and(factor.method(), now);
            }
            apply(auth, caller, Shown { authentication, factor }, origin, now).await
        }
    }
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
    shown: Shown,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<SessionTokens, Error> {
    let event = event_of(caller, Action::SteppedUp, origin, now);
    let (mut noted, mut recovery_codes_left) = (None, None);

    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    // The user's row before all else, as every log-in and every change of the account does, or two would wait for each other.
    store::hold_standing(&mut transaction, caller.user_id).await?;
    // Refreshes of the session wait. A password that was changed meanwhile has ended it.
    let locked = store::lock_session(&mut transaction, caller.session_id).await?;
    let locked = locked.ok_or(Error::SessionEnded)?;
    require_live(&mut transaction, caller, now).await?;
    if let Some(factor) = &shown.factor {
        let right = proofs::look_at(auth, transaction, caller.user_id, factor, event.clone()).await?;
        transaction = right.transaction;
        (noted, recovery_codes_left) = (right.noted, right.recovery_codes_left);
    }
    let session = stepped_up(locked.session, shown.authentication, origin, now);
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
    fn parse(auth: &Auth, request: StepUpSessionRequest, now: OffsetDateTime) -> Result<Given, Error> {
        let factor = Factor::parse(auth, &request.totp_code, &request.recovery_code, request.passkey, now)?;
        match factor {
            Some(factor @ Factor::Passkey(_)) if request.password.is_empty() => Ok(Given::Passkey(factor)),
            factor => {
                let password = Password::parse_given(request.password)?;
                Ok(Given::Password { password, factor })
            }
        }
    }
}
