//! The password of somebody who is logged in, asked for once more before something that matters.

use service::caller::UserCaller;
use time::OffsetDateTime;

use super::{Auth, audit::note_alone, throttle};
use crate::{
    attempts::{Attempt, Kind},
    audit::Event,
    error::Error,
    password::{Caller, Comparison},
    registration::Password,
    store::Login,
};

/// What was given, and the field that it came in.
pub(super) struct Given {
    pub password: Password,
    pub field: &'static str,
}

/// Fails when it is not the account's, naming the field; `refused` is noted then. Guesses are counted for each
/// session: whoever has found an access token does not keep the user from showing who they are.
pub(super) async fn require(
    auth: &Auth,
    caller: &UserCaller,
    given: Given,
    login: &Login,
    refused: Event,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let account = caller.user_id.to_string();
    let attempt = Attempt {
        kind: Kind::CurrentPassword,
        account: Some(&account),
        device: Some(caller.session_id),
        address: None,
    };
    let counted = match auth.attempts.begin(attempt, now).await {
        Ok(counted) => counted,
        Err(wait) => return Err(throttle::refuse(auth, wait, refused).await),
    };
    let compared = compare(auth, given, login, refused).await;
    throttle::settle(auth, counted, compared, now).await
}

async fn compare(auth: &Auth, given: Given, login: &Login, refused: Event) -> Result<(), Error> {
    let place = auth.hasher.enter(Caller::Known)?;
    let stored = Some(login.stored.clone());
    if auth.hasher.compare(given.password, stored, place).await? == Comparison::Wrong {
        tracing::info!(user.id = %login.user_id, action = refused.action.as_str(), "wrong current password");
        note_alone(auth, refused).await?;
        return Err(Error::WrongPassword { field: given.field });
    }
    Ok(())
}
