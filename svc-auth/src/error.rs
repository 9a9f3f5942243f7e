//! What can go wrong, by what the caller can do about it.

use std::time::Duration;

use service::{
    postgres,
    status::{self, Violation},
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// How long to wait before trying again when every core hashes.
const BUSY_RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("some fields are invalid")]
    Invalid(Vec<Violation>),
    #[error("e-mail address is taken")]
    EmailTaken,
    #[error("e-mail address or password is wrong")]
    InvalidCredentials,
    #[error("{field} is one that everybody tries")]
    PasswordBreached { field: &'static str },
    #[error("current_password is not the password of this account")]
    WrongPassword,
    #[error("refresh token is invalid")]
    InvalidRefreshToken,
    #[error("refresh token was used before; its session has been ended")]
    RefreshTokenReused,
    #[error("session has ended")]
    SessionEnded,
    #[error("too many passwords are being checked")]
    Busy,
    #[error("too many API tokens are in use")]
    TooManyApiTokens,
    #[error("this takes a log-in of the last five minutes")]
    StepUpRequired,
    #[error("API token not found")]
    ApiTokenNotFound,
    #[error("session not found")]
    SessionNotFound,
    #[error("user not found")]
    UserNotFound,
    #[error("database failed")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Error {
        Error::Invalid(vec![violation])
    }
}

impl From<Vec<Violation>> for Error {
    fn from(violations: Vec<Violation>) -> Error {
        Error::Invalid(violations)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        let message = error.to_string();
        let with_reason = |code, reason| status::with_reason(code, reason, message.as_str(), &[]);
        match error {
            Error::Invalid(violations) => status::invalid(violations),
            Error::EmailTaken => with_reason(Code::AlreadyExists, "EMAIL_TAKEN"),
            Error::InvalidCredentials => with_reason(Code::Unauthenticated, "INVALID_CREDENTIALS"),
            Error::PasswordBreached { field } => refused_field(
                "PASSWORD_BREACHED",
                &message,
                field,
                "must not be one that everybody tries",
            ),
            Error::WrongPassword => {
                let rule = "must be the password of this account";
                refused_field("WRONG_PASSWORD", &message, "current_password", rule)
            }
            Error::InvalidRefreshToken => with_reason(Code::Unauthenticated, "INVALID_REFRESH_TOKEN"),
            Error::RefreshTokenReused => with_reason(Code::Unauthenticated, "REFRESH_TOKEN_REUSED"),
            Error::SessionEnded => with_reason(Code::Unauthenticated, "SESSION_ENDED"),
            Error::TooManyApiTokens => with_reason(Code::FailedPrecondition, "TOO_MANY_API_TOKENS"),
            Error::StepUpRequired => with_reason(Code::PermissionDenied, "STEP_UP_REQUIRED"),
            Error::Busy => busy(&message),
            Error::ApiTokenNotFound => status::not_found("api token"),
            Error::SessionNotFound => status::not_found("session"),
            Error::UserNotFound => status::not_found("user"),
            Error::Database(error) => postgres::status(error),
            Error::Internal(error) => status::internal(&error),
        }
    }
}

fn busy(message: &str) -> Status {
    let mut details = ErrorDetails::with_error_info("AUTH_BUSY", status::DOMAIN, []);
    details.set_retry_info(Some(BUSY_RETRY));
    Status::with_error_details(Code::Unavailable, message, details)
}

/// A reason of its own, and the field that it is about.
fn refused_field(reason: &str, message: &str, field: &str, rule: &str) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, status::DOMAIN, []);
    details.add_bad_request_violation(field, rule);
    Status::with_error_details(Code::InvalidArgument, message, details)
}
