//! What can go wrong with second factors and passkeys.

use std::time::Duration;

use service::status;
use tonic::{Code, Status};

use super::{refused_field, retry_later};

#[derive(Debug, thiserror::Error)]
pub(crate) enum FactorError {
    #[error("a second factor is required")]
    MfaRequired { challenge: String, factors: String },
    #[error("challenge is invalid")]
    InvalidChallenge,
    #[error("{field} is wrong or was used before")]
    WrongCode { field: &'static str },
    #[error("too many wrong codes were given")]
    TooManyGuesses { wait: time::Duration },
    #[error("an app that makes codes is enrolled already")]
    TotpEnrolled,
    #[error("the account has no second factor")]
    NoSecondFactor,
    #[error("passkey is not the right one, or its ceremony is over")]
    WrongPasskey,
    #[error("passkey is registered already")]
    PasskeyRegistered,
    #[error("too many passkeys are registered")]
    TooManyPasskeys,
    #[error("passkey not found")]
    PasskeyNotFound,
    #[error("there is no secret to be confirmed")]
    EnrolmentNotFound,
}

impl From<FactorError> for Status {
    fn from(error: FactorError) -> Status {
        let message = error.to_string();
        let with_reason = |code, reason| status::with_reason(code, reason, message.as_str(), &[]);
        match error {
            FactorError::MfaRequired { challenge, factors } => {
                let metadata = [("challenge", challenge.as_str()), ("factors", factors.as_str())];
                status::with_reason(Code::Unauthenticated, "MFA_REQUIRED", message, &metadata)
            }
            FactorError::InvalidChallenge => with_reason(Code::Unauthenticated, "INVALID_CHALLENGE"),
            FactorError::WrongCode { field } => {
                refused_field("WRONG_CODE", &message, field, "must be right, and not used before")
            }
            FactorError::TooManyGuesses { wait } => too_many_guesses(&message, wait),
            FactorError::TotpEnrolled => with_reason(Code::AlreadyExists, "TOTP_ENROLLED"),
            FactorError::NoSecondFactor => with_reason(Code::FailedPrecondition, "NO_SECOND_FACTOR"),
            FactorError::WrongPasskey => with_reason(Code::InvalidArgument, "WRONG_PASSKEY"),
            FactorError::PasskeyRegistered => with_reason(Code::AlreadyExists, "PASSKEY_REGISTERED"),
            FactorError::TooManyPasskeys => with_reason(Code::FailedPrecondition, "TOO_MANY_PASSKEYS"),
            FactorError::PasskeyNotFound => status::not_found("passkey"),
            FactorError::EnrolmentNotFound => status::not_found("totp enrolment"),
        }
    }
}

fn too_many_guesses(message: &str, wait: time::Duration) -> Status {
    // In whole seconds, as `Retry-After` is, and none too early.
    let seconds = u64::try_from(wait.whole_seconds() + 1).unwrap_or(1);
    let wait = Duration::from_secs(seconds);
    retry_later(Code::ResourceExhausted, "TOO_MANY_GUESSES", message, wait)
}
