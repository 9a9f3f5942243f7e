//! Who calls: access tokens and API tokens of users, service tokens of other processes, and the keys behind them.

mod api_token;
mod api_tokens;
mod ended;
mod keys;
mod remote;
mod signer;
mod token;
mod verifier;

use std::{sync::Arc, time::Duration};

use tonic::{Code, Status};
use uuid::Uuid;

pub use self::{
    api_token::{
        API_TOKEN_ID_CHARACTERS, API_TOKEN_SECRET_CHARACTERS, ApiToken, api_token_prefix, is_api_token_scope,
        is_environment, takes_api_tokens,
    },
    ended::EndedSessions,
    keys::{KeyError, PublicKey, ServiceKeys},
    signer::ServiceSigner,
    token::{ACCESS_AUDIENCE, ACCESS_ISSUER, ACCESS_TYPE, SERVICE_TYPE},
    verifier::{KeyLookup, Verifier},
};

/// The one who calls, as a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A person, by an access token or an API token.
    User {
        /// The user.
        user_id: Uuid,
        /// The log-in that the token belongs to; of an API token, its own id.
        session_id: Uuid,
    },
    /// Another service, by a service token.
    Service {
        /// The folder name of the service, such as `svc-import`.
        name: String,
        /// For whom it works; nil when for nobody in particular.
        owner_id: Uuid,
    },
}

/// What a caller came in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An access token of a log-in.
    AccessToken,
    /// An API token.
    ApiToken,
    /// A service token.
    ServiceToken,
}

/// A caller, with what its token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The one who calls.
    pub caller: Caller,
    /// What it came in with.
    pub credential: Credential,
    /// What the token allows; `None` allows everything that its caller may do.
    pub scopes: Option<Arc<[String]>>,
    /// Until when the token counts, leeway included, in seconds since 1970.
    pub(crate) valid_until: i64,
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is none.
    #[error("a token is required")]
    Missing,
    /// It is not one of ours, or not for us. Which rule it breaks is nobody's business.
    #[error("the token is not valid")]
    Invalid,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its session was logged out or revoked.
    #[error("the session has ended")]
    SessionEnded,
    /// It is an API token that was revoked or whose time is over.
    #[error("the API token has ended")]
    ApiTokenEnded,
    /// It is an API token, and this takes none.
    #[error("API tokens are not taken for this")]
    ApiTokenNotAllowed,
    /// The keys to check it with cannot be had at the moment.
    #[error("tokens cannot be checked at the moment")]
    KeysUnavailable,
}

impl Refusal {
    /// The reason that programs can tell apart.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "TOKEN_MISSING",
            Self::Invalid => "TOKEN_INVALID",
            Self::Expired => "TOKEN_EXPIRED",
            Self::SessionEnded => "SESSION_ENDED",
            Self::ApiTokenEnded => "API_TOKEN_ENDED",
            Self::ApiTokenNotAllowed => "API_TOKEN_NOT_ALLOWED",
            Self::KeysUnavailable => "KEYS_UNAVAILABLE",
        }
    }

    /// The status to answer with.
    pub fn status(self) -> Status {
        match self {
            Self::Missing | Self::Invalid | Self::Expired | Self::SessionEnded | Self::ApiTokenEnded => {
                crate::status::with_reason(Code::Unauthenticated, self.reason(), self.to_string(), &[])
            }
            Self::ApiTokenNotAllowed => {
                crate::status::with_reason(Code::PermissionDenied, self.reason(), self.to_string(), &[])
            }
            Self::KeysUnavailable => crate::status::unavailable(self.to_string(), Duration::from_secs(1)),
        }
    }
}
