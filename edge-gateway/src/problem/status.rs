//! From a gRPC status with its google.rpc details to a problem.

use std::borrow::Cow;
use std::time::Duration;

use actix_web::http::StatusCode;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{FieldError, Problem, code};
use crate::upstream::ConnectionFailure;

const ETAG_MISMATCH: &str = "ETAG_MISMATCH";
/// The same key came with another request before.
const IDEMPOTENCY_KEY_REUSED: &str = "IDEMPOTENCY_KEY_REUSED";
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The call that a status ended, as the log names it: requests have no span of their own where none are collected.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct EndedCall<'a> {
    pub(crate) upstream: &'a str,
    pub(crate) rpc: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) trace_id: &'a str,
}

impl Problem {
    /// `is_conditional`: the caller sent If-Match.
    pub(crate) fn from_status(status: &Status, is_conditional: bool, call: EndedCall<'_>) -> Self {
        if is_timeout(status) {
            return Self::deadline_exceeded();
        }
        if ConnectionFailure::of(status).is_some() {
            call.warn(status, "upstream connection failed");
            return Self::unreachable();
        }
        let (http_status, detail) = (code::http_status(status.code()), code::detail(status.code()));
        let mut problem = Self::new(http_status, status.code(), "", detail);
        problem.domain = Cow::Borrowed("");
        problem.add_details(status);
        if problem.reason.is_empty() {
            // Services give a reason with what they say to callers; this was written by a library or a proxy, about what is inside.
            call.warn(status, "upstream failed without a reason");
        } else {
            problem.detail = Cow::Owned(status.message().to_owned());
        }
        if status.code() == Code::Aborted && is_conditional && problem.reason == ETAG_MISMATCH {
            problem.status = StatusCode::PRECONDITION_FAILED;
        }
        if problem.reason == IDEMPOTENCY_KEY_REUSED {
            problem.status = StatusCode::UNPROCESSABLE_ENTITY;
        }
        if problem.retry_after.is_none() && status.code() == Code::Unavailable {
            problem.retry_after = Some(DEFAULT_RETRY_AFTER);
        }
        problem
    }

    pub(crate) fn unreachable() -> Self {
        let detail = "the service cannot be reached at the moment";
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::Unavailable,
            "UPSTREAM_UNAVAILABLE",
            detail,
        );
        problem.retry_after = Some(DEFAULT_RETRY_AFTER);
        problem
    }

    fn add_details(&mut self, status: &Status) {
        let details = status.get_error_details();
        if let Some(info) = details.error_info() {
            self.reason = Cow::Owned(info.reason.clone());
            self.domain = Cow::Owned(info.domain.clone());
            self.metadata = info.metadata.clone().into_iter().collect();
        }
        if let Some(bad_request) = details.bad_request() {
            let errors = bad_request.field_violations.iter().map(|violation| FieldError {
                field: camel_case(&violation.field),
                description: violation.description.clone(),
            });
            self.errors = errors.collect();
        }
        self.retry_after = details.retry_info().and_then(|info| info.retry_delay);
    }
}

impl EndedCall<'_> {
    fn warn(self, status: &Status, what: &str) {
        tracing::warn!(
            upstream = self.upstream,
            rpc = self.rpc,
            code = code::name(status.code()),
            error = status.message(),
            request.id = self.request_id,
            trace_id = self.trace_id,
            "{what}"
        );
    }
}

/// Written by tonic on either side when the time of grpc-timeout is over; its code is not always DEADLINE_EXCEEDED.
pub(crate) fn is_timeout(status: &Status) -> bool {
    status.message() == "Timeout expired"
}

/// `bookmark.to_read[3]` becomes `bookmark.toRead[3]`.
fn camel_case(path: &str) -> String {
    let mut camel = String::with_capacity(path.len());
    let mut after_underscore = false;
    for character in path.chars() {
        match character {
            '_' => after_underscore = true,
            letter if after_underscore => {
                camel.push(letter.to_ascii_uppercase());
                after_underscore = false;
            }
            other => camel.push(other),
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    fn aborted(reason: &str) -> Status {
        let details = ErrorDetails::with_error_info(reason, "example", [("id".to_owned(), "7".to_owned())]);
        Status::with_error_details(Code::Aborted, "has changed", details)
    }

    #[test]
    fn a_failed_condition_is_412_only_when_there_was_one() {
        let status = |reason, is_conditional| {
            Problem::from_status(&aborted(reason), is_conditional, EndedCall::default())
                .status
                .as_u16()
        };

        assert_eq!(status("ETAG_MISMATCH", true), 412);
        assert_eq!(status("ETAG_MISMATCH", false), 409);
        assert_eq!(status("TASK_ENDED", true), 409);
    }

    #[test]
    fn details_are_carried_over_with_names_in_camel_case() {
        let mut details = ErrorDetails::new();
        details
            .add_bad_request_violation("bookmark.to_read[3]", "is wrong")
            .set_error_info("INVALID_FIELDS", "example", [("a".to_owned(), "b".to_owned())])
            .set_retry_info(Some(Duration::from_millis(1500)));
        let status = Status::with_error_details(Code::InvalidArgument, "invalid", details);

        let problem = Problem::from_status(&status, false, EndedCall::default());

        assert_eq!(problem.reason, "INVALID_FIELDS");
        assert_eq!(problem.domain, "example");
        assert_eq!(problem.metadata["a"], "b");
        assert_eq!(problem.errors[0].field, "bookmark.toRead[3]");
        assert_eq!(problem.retry_after, Some(Duration::from_millis(1500)));
    }
}
