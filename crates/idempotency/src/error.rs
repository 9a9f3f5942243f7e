//! Why a named request is not done.

use std::time::Duration;

use service::{postgres, status};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a named request is not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key came with another request before.
    #[error("the key was used for another request")]
    Reused,
    /// The request is being done at this moment.
    #[error("the request is being done")]
    InFlight,
    /// The kept answer is of another shape than the service's.
    #[error(transparent)]
    Unreadable(#[from] prost::DecodeError),
    /// The database did not do its part.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Reused => {
                let message = "this request_id was used for another request within the last 24 hours";
                status::with_reason(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED", message, &[])
            }
            Error::InFlight => {
                let mut details = ErrorDetails::with_error_info("IDEMPOTENCY_KEY_IN_FLIGHT", status::DOMAIN, []);
                details.set_retry_info(Some(RETRY_AFTER));
                let message = "the request with this request_id is being done";
                Status::with_error_details(Code::Aborted, message, details)
            }
            Error::Unreadable(error) => status::internal(&anyhow::Error::new(error).context("reading a kept answer")),
            Error::Database(error) => postgres::status(error),
        }
    }
}
