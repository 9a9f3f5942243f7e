//! Changing a password.

use bookmesh_proto::auth::v1::ChangePasswordRequest;
use service::{caller::UserCaller, clock, postgres, status::Violation};
use time::OffsetDateTime;

use super::{
    Auth,
    current_password::{self, Given},
    own_sessions::require_live,
    resets, step_up,
};
use crate::{
    audit::{Action, Event, Outcome},
    error::Error,
    origin::Origin,
    password::{self, StoredHash},
    registration::{Password, named},
    store::{self, EndReason, Login},
};

/// The field of the password that is to be shown.
const CURRENT: &str = "current_password";

/// The passwords of a request, each within its rules.
struct Change {
    current: Password,
    new: Password,
}

/// Whoever knew the old password may have sessions: all but the one that asks are ended.
pub(super) async fn change(
    auth: &Auth,
    caller: &UserCaller,
    request: ChangePasswordRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    if request.current_password.is_empty() {
        let old = look_up(auth, caller, origin, now).await?;
        if !old.stored.is_some() {
            return choose_first(auth, caller, &old, request.new_password, origin).await;
        }
    }
    let Change { current, new } = Change::parse(request)?;
    let old = look_up(auth, caller, origin, now).await?;
    let refused = event_of(caller, Outcome::Refused, origin, now);
    let given = Given {
        password: current,
        field: CURRENT,
    };
    current_password::require(auth, caller, given, &old, refused, now).await?;
    new.refuse_breached("new_password")?;
    let place = auth.hasher.enter(password::Caller::Known)?;
    let new = auth.hasher.hash(new, place).await?;

    // Hashing may have waited; the sessions end now.
    apply(auth, caller, &old, &new, origin, clock::now()).await
}

/// Whoever has logged in at a provider so far has no password to show: the step-up alone has to do.
async fn choose_first(
    auth: &Auth,
    caller: &UserCaller,
    old: &Login,
    new: String,
    origin: &Origin,
) -> Result<(), Error> {
    let new = named("new_password", Password::parse_new(new))?;
    new.refuse_breached("new_password")?;
    let place = auth.hasher.enter(password::Caller::Known)?;
    let new = auth.hasher.hash(new, place).await?;

    apply(auth, caller, old, &new, origin, clock::now()).await
}

fn event_of(caller: &UserCaller, outcome: Outcome, origin: &Origin, now: OffsetDateTime) -> Event {
    Event::new(Some(caller.user_id), Action::PasswordChanged, outcome, origin, now).by_session(caller.session_id)
}

async fn look_up(auth: &Auth, caller: &UserCaller, origin: &Origin, now: OffsetDateTime) -> Result<Login, Error> {
    let mut transaction = step_up::begin(auth, caller, Action::PasswordChanged, origin, now).await?;
    let login = store::password_of(&mut transaction, caller.user_id).await?;
    transaction.commit().await?;
    login.ok_or(Error::UserNotFound)
}

async fn apply(
    auth: &Auth,
    caller: &UserCaller,
    old: &Login,
    new: &StoredHash,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let (user_id, kept) = (caller.user_id, caller.session_id);

    let mut transaction = postgres::begin(&auth.pool, user_id).await?;
    // First the user's row: a log-in locks it too, so it is either over by now, and ended below, or sees the change.
    if !store::change_password(&mut transaction, old, new).await? {
        return Err(Error::WrongPassword { field: CURRENT });
    }
    require_live(&mut transaction, caller, now).await?;
    let reason = EndReason::PasswordChanged;
    let ended = store::end_other_sessions(&mut transaction, user_id, kept, reason, now).await?;
    // Whoever had one of them may have begun a change of address.
    store::withdraw_mail_tokens(&mut transaction, user_id).await?;
    let account = store::account_of(&mut transaction, user_id).await?;
    let account = account.ok_or(Error::UserNotFound)?;
    resets::notify(auth, &mut transaction, user_id, &account.email, now).await?;
    let event = event_of(caller, Outcome::Succeeded, origin, now);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;
    auth.mails.wake();
    for session_id in &ended {
        auth.hot_sessions.note_end(*session_id).await;
    }

    tracing::info!(user.id = %user_id, sessions = ended.len(), "password changed, all other sessions ended");
    Ok(())
}

impl Change {
    /// Answers every broken rule at once.
    fn parse(request: ChangePasswordRequest) -> Result<Change, Vec<Violation>> {
        let is_same = request.current_password == request.new_password;
        let current = named("current_password", Password::parse_given(request.current_password));
        let new = named("new_password", Password::parse_new(request.new_password));
        match (current, new) {
            (Ok(_), Ok(_)) if is_same => Err(vec![Violation::new("new_password", "must not be the current one")]),
            (Ok(current), Ok(new)) => Ok(Change { current, new }),
            (current, new) => Err([current.err(), new.err()].into_iter().flatten().collect()),
        }
    }
}
