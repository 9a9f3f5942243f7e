//! What can go wrong, by what the caller can do about it.

mod factor;
mod oidc;

use std::time::Duration;

use service::{
    postgres,
    status::{self, Violation},
};
use tonic::{Code, Status, metadata::MetadataValue};
use tonic_types::{ErrorDetails, StatusExt};

pub(crate) use self::{factor::FactorError, oidc::OidcError};
use crate::account_error::AccountError;

/// How long to wait before trying again when every core hashes.
const BUSY_RETRY: Duration = Duration::from_millis(BUSY_RETRY_MILLISECONDS);
const BUSY_RETRY_MILLISECONDS: u64 = 1_000;

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
    #[error("{field} is not the password of this account")]
    WrongPassword { field: &'static str },
    #[error("refresh token is invalid")]
    InvalidRefreshToken,
    #[error("refresh token was used before; its session has been ended")]
    RefreshTokenReused,
    #[error("session has ended")]
    SessionEnded,
    #[error("too many passwords are being checked")]
    Busy,
    #[error("there were too many attempts; try again later")]
    TooManyAttempts { retry_after: Duration },
    #[error("too many API tokens are in use")]
    TooManyApiTokens,
    #[error("this takes a proof of the last five minutes of who the user is")]
    StepUpRequired,
    #[error("the account is disabled")]
    AccountDisabled,
    #[error("the password must be set anew")]
    PasswordResetRequired,
    #[error("only admins may do this")]
    AdminRequired,
    #[error("nobody else is admin")]
    LastAdmin,
    #[error("the account has no address that a new password could be set by")]
    NoEmailAddress,
    #[error(transparent)]
    Account(AccountError),
    #[error("API token not found")]
    ApiTokenNotFound,
    #[error("session not found")]
    SessionNotFound,
    #[error("user not found")]
    UserNotFound,
    #[error(transparent)]
    Oidc(#[from] OidcError),
    #[error(transparent)]
    Factor(#[from] FactorError),
    #[error("database failed")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl Error {
    /// Whether a secret was guessed, and not this.
    pub(crate) fn is_wrong_guess(&self) -> bool {
        matches!(self, Error::InvalidCredentials | Error::WrongPassword { .. })
    }
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
            Error::WrongPassword { field } => refused_field(
                "WRONG_PASSWORD",
                &message,
                field,
                "must be the password of this account",
            ),
            Error::InvalidRefreshToken => with_reason(Code::Unauthenticated, "INVALID_REFRESH_TOKEN"),
            Error::RefreshTokenReused => with_reason(Code::Unauthenticated, "REFRESH_TOKEN_REUSED"),
            Error::SessionEnded => with_reason(Code::Unauthenticated, "SESSION_ENDED"),
            Error::TooManyApiTokens => with_reason(Code::FailedPrecondition, "TOO_MANY_API_TOKENS"),
            Error::StepUpRequired => with_reason(Code::PermissionDenied, "STEP_UP_REQUIRED"),
            Error::AccountDisabled => with_reason(Code::PermissionDenied, "ACCOUNT_DISABLED"),
            Error::PasswordResetRequired => with_reason(Code::PermissionDenied, "PASSWORD_RESET_REQUIRED"),
            Error::AdminRequired => with_reason(Code::PermissionDenied, "ADMIN_REQUIRED"),
            Error::LastAdmin => with_reason(Code::FailedPrecondition, "LAST_ADMIN"),
            Error::NoEmailAddress => with_reason(Code::FailedPrecondition, "NO_EMAIL_ADDRESS"),
            Error::Busy => busy(&message),
            Error::TooManyAttempts { retry_after } => {
                retry_later(Code::ResourceExhausted, "TOO_MANY_ATTEMPTS", &message, retry_after)
            }
            Error::Account(error) => error.into(),
            Error::ApiTokenNotFound => status::not_found("api token"),
            Error::SessionNotFound => status::not_found("session"),
            Error::UserNotFound => status::not_found("user"),
            Error::Oidc(error) => error.into(),
            Error::Factor(error) => error.into(),
            Error::Database(error) => postgres::status(error),
            Error::Internal(error) => status::internal(&error),
        }
    }
}

/// With gRPC's own pushback besides: callers that count failures know by it that this service is at work.
fn busy(message: &str) -> Status {
    let mut status = retry_later(Code::Unavailable, "AUTH_BUSY", message, BUSY_RETRY);
    let pushback = MetadataValue::from(BUSY_RETRY_MILLISECONDS);
    status.metadata_mut().insert("grpc-retry-pushback-ms", pushback);
    status
}

pub(crate) fn retry_later(code: Code, reason: &str, message: &str, after: Duration) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, status::DOMAIN, []);
    details.set_retry_info(Some(after));
    Status::with_error_details(code, message, details)
}

/// A reason of its own, and the field that it is about.
pub(crate) fn refused_field(reason: &str, message: &str, field: &str, rule: &str) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, status::DOMAIN, []);
    details.add_bad_request_violation(field, rule);
    Status::with_error_details(Code::InvalidArgument, message, details)
}
