//! What can go wrong, by what the caller can do about it.

use service::{postgres, status, status::Violation};
use tonic::{Code, Status};

use crate::domain::State;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("fields are invalid")]
    Invalid(Vec<Violation>),
    #[error("there is no such task")]
    NotFound,
    #[error("another task has this id")]
    IdTaken,
    #[error("the task cannot be claimed in the state {}", .0.name())]
    NotClaimable(State),
    #[error("the task was not asked to end")]
    NotCancelling,
    #[error("the lease was lost")]
    LeaseLost,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Error {
        Error::Invalid(vec![violation])
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        let message = error.to_string();
        match error {
            Error::Invalid(violations) => status::invalid(violations),
            Error::NotFound => status::not_found("task"),
            Error::IdTaken => status::with_reason(Code::AlreadyExists, "TASK_ID_TAKEN", message, &[]),
            Error::NotClaimable(state) => {
                let metadata = [("state", state.name())];
                status::with_reason(Code::FailedPrecondition, "TASK_NOT_CLAIMABLE", message, &metadata)
            }
            Error::NotCancelling => status::with_reason(Code::FailedPrecondition, "TASK_NOT_CANCELLING", message, &[]),
            Error::LeaseLost => status::with_reason(Code::Aborted, "LEASE_LOST", message, &[]),
            Error::Database(error) => postgres::status(error),
            Error::Unexpected(error) => status::internal(&error),
        }
    }
}
