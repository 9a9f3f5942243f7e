//! What RPCs do around an attempt that is counted: note the first refusal, and say how the attempt ended.

use time::OffsetDateTime;

use super::{Auth, audit::note_alone};
use crate::{
    attempts::{Counted, Refused},
    audit::Event,
    error::Error,
};

/// The answer to an attempt that must not be made. `event` is noted, as throttled, when this is the first of its wait.
pub(super) async fn refuse(auth: &Auth, refused: Refused, event: Event) -> Error {
    if refused.is_first {
        let (action, user_id) = (event.action.as_str(), event.user_id);
        tracing::info!(
            action,
            user.id = user_id.map(tracing::field::display),
            "too many attempts"
        );
        if let Err(error) = note_alone(auth, event.throttled()).await {
            tracing::warn!(error = format!("{error:#}"), "a refusal could not be noted");
        }
    }
    Error::TooManyAttempts {
        retry_after: refused.retry_after,
    }
}

/// Says how a counted attempt ended: it stays counted when the guess was wrong, and was not made when nobody could tell.
pub(super) async fn settle<T>(
    auth: &Auth,
    counted: Counted,
    result: Result<T, Error>,
    now: OffsetDateTime,
) -> Result<T, Error> {
    match &result {
        Ok(_) => auth.attempts.succeed(counted, now).await,
        Err(error) if error.is_wrong_guess() => {}
        Err(_) => auth.attempts.withdraw(counted, now).await,
    }
    result
}
