//! What can go wrong, by what the caller can do about it.

use std::time::Duration;

use service::{
    postgres,
    status::{self, Violation},
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use uuid::Uuid;

const RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the request breaks {} rules", .0.len())]
    Invalid(Vec<Violation>),
    #[error("bookmark not found")]
    NotFound,
    #[error("the link is saved already")]
    AlreadyExists { bookmark_id: Uuid },
    #[error("the bookmark has changed")]
    EtagMismatch,
    #[error("the change is not findable yet")]
    IndexBehind,
    #[error("search is not available")]
    Search(anyhow::Error),
    #[error(transparent)]
    Idempotency(#[from] idempotency::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(anyhow::Error),
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

/// A database error inside keeps its meaning.
impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Error {
        match error.downcast::<sqlx::Error>() {
            Ok(database) => Error::Database(database),
            Err(other) => Error::Internal(other),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        match error {
            Error::Invalid(violations) => status::invalid(violations),
            Error::NotFound => status::not_found("bookmark"),
            Error::AlreadyExists { bookmark_id } => {
                let metadata = [("bookmark_id", bookmark_id.to_string())];
                let metadata = metadata.each_ref().map(|(key, value)| (*key, value.as_str()));
                status::with_reason(
                    Code::AlreadyExists,
                    "BOOKMARK_EXISTS",
                    "the link is saved already",
                    &metadata,
                )
            }
            Error::EtagMismatch => {
                let message = "the bookmark has changed since it was read";
                status::with_reason(Code::Aborted, "ETAG_MISMATCH", message, &[])
            }
            // Not UNAVAILABLE: the service is well, and must not look ill to breakers for what one caller waits for.
            Error::IndexBehind => retry_later(Code::Aborted, "INDEX_BEHIND", "the change is not findable yet"),
            Error::Search(error) => {
                tracing::error!(error = format!("{error:#}"), "the search index cannot be read");
                retry_later(Code::Unavailable, "SEARCH_UNAVAILABLE", "search is not available")
            }
            Error::Idempotency(error) => error.into(),
            Error::Database(error) => postgres::status(error),
            Error::Internal(error) => status::internal(&error),
        }
    }
}

fn retry_later(code: Code, reason: &str, message: &str) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, status::DOMAIN, []);
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(code, message, details)
}
