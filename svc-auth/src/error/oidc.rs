//! What can go wrong with accounts at identity providers.

use std::time::Duration;

use service::status;
use tonic::{Code, Status};

use super::retry_later;

/// How long to leave a provider alone that does not answer.
const PROVIDER_RETRY: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub(crate) enum OidcError {
    #[error("identity provider not found")]
    ProviderNotFound,
    #[error("identity provider does not answer as it should")]
    ProviderUnavailable,
    #[error("no such log-in at an identity provider is under way")]
    AttemptUnknown,
    #[error("the identity provider's answer proves nothing")]
    LogInFailed,
    #[error("another account has this e-mail address; log in to it and link the two")]
    LinkRequired,
    #[error("identity is linked to another account")]
    IdentityTaken,
    #[error("another identity of this provider is linked")]
    ProviderAlreadyLinked,
    #[error("nothing else lets the user log in")]
    LastWayIn,
    #[error("identity not found")]
    IdentityNotFound,
}

impl From<OidcError> for Status {
    fn from(error: OidcError) -> Status {
        let message = error.to_string();
        let with_reason = |code, reason| status::with_reason(code, reason, message.as_str(), &[]);
        match error {
            OidcError::ProviderNotFound => status::not_found("oidc provider"),
            OidcError::ProviderUnavailable => {
                retry_later(Code::Unavailable, "OIDC_PROVIDER_UNAVAILABLE", &message, PROVIDER_RETRY)
            }
            OidcError::AttemptUnknown => with_reason(Code::Unauthenticated, "OIDC_ATTEMPT_UNKNOWN"),
            OidcError::LogInFailed => with_reason(Code::Unauthenticated, "OIDC_LOG_IN_FAILED"),
            OidcError::LinkRequired => with_reason(Code::FailedPrecondition, "LINK_REQUIRED"),
            OidcError::IdentityTaken => with_reason(Code::AlreadyExists, "IDENTITY_TAKEN"),
            OidcError::ProviderAlreadyLinked => with_reason(Code::FailedPrecondition, "PROVIDER_ALREADY_LINKED"),
            OidcError::LastWayIn => with_reason(Code::FailedPrecondition, "LAST_WAY_IN"),
            OidcError::IdentityNotFound => status::not_found("identity"),
        }
    }
}
