//! What can go wrong, by what the caller can do about it.

use service::{postgres, status};
use tonic::Status;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("enrichment not found")]
    NotFound,
    #[error("database failed")]
    Database(#[from] sqlx::Error),
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        match error {
            Error::NotFound => status::not_found("enrichment"),
            Error::Database(error) => postgres::status(error),
        }
    }
}
