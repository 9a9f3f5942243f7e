//! Errors on the wire: gRPC statuses with the details that callers act on (AIP-193).

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// The domain of every reason, as ErrorInfo asks for.
pub const DOMAIN: &str = "bookmesh";

/// One field that breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field as the proto spells it, such as `bookmark.tags[2]`.
    pub field: String,
    /// The rule, as a phrase that follows the field's name: `must not be empty`.
    pub description: String,
}

impl Violation {
    /// Says that `field` breaks the rule `description`.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            description: description.into(),
        }
    }
}

/// For a single broken rule, so that `?` turns it into its status.
impl From<Violation> for Status {
    fn from(violation: Violation) -> Self {
        invalid(vec![violation])
    }
}

/// INVALID_ARGUMENT with every broken rule.
pub fn invalid(violations: Vec<Violation>) -> Status {
    let message = match violations.as_slice() {
        [only] => format!("{} {}", only.field, only.description),
        several => format!("{} fields are invalid", several.len()),
    };
    let fields: Vec<FieldViolation> = violations
        .into_iter()
        .map(|violation| FieldViolation::new(violation.field, violation.description))
        .collect();
    let mut details = details("INVALID_FIELDS", &[]);
    details.set_bad_request(fields);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// A status whose `reason` programs can tell apart: UPPER_SNAKE_CASE, stable for ever.
pub fn with_reason(code: Code, reason: &str, message: impl Into<String>, metadata: &[(&str, &str)]) -> Status {
    Status::with_error_details(code, message, details(reason, metadata))
}

/// NOT_FOUND, the same for what does not exist, what is somebody else's and what has no valid id.
pub fn not_found(resource: &str) -> Status {
    with_reason(
        Code::NotFound,
        "NOT_FOUND",
        format!("{resource} not found"),
        &[("resource", resource)],
    )
}

/// UNAVAILABLE: try again after `retry_after`.
pub fn unavailable(message: impl Into<String>, retry_after: Duration) -> Status {
    let mut details = details("UNAVAILABLE", &[]);
    details.set_retry_info(Some(retry_after));
    Status::with_error_details(Code::Unavailable, message, details)
}

/// INTERNAL. The one place where an unexpected error is logged; the caller learns nothing of it.
pub fn internal(error: &anyhow::Error) -> Status {
    tracing::error!(error = format!("{error:#}"), "internal error");
    with_reason(Code::Internal, "INTERNAL", "internal error", &[])
}

/// The reason that a status carries, if any.
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

fn details(reason: &str, metadata: &[(&str, &str)]) -> ErrorDetails {
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect();
    ErrorDetails::with_error_info(reason, DOMAIN, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_is_named() {
        let status = invalid(vec![
            Violation::new("url", "must not be empty"),
            Violation::new("title", "is too long"),
        ]);

        let fields: Vec<String> = status
            .get_details_bad_request()
            .unwrap()
            .field_violations
            .into_iter()
            .map(|violation| violation.field)
            .collect();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(fields, ["url", "title"]);
        assert_eq!(reason(&status).as_deref(), Some("INVALID_FIELDS"));
        assert_eq!(status.message(), "2 fields are invalid");
    }

    #[test]
    fn a_single_violation_is_the_message() {
        let status = Status::from(Violation::new("url", "must not be empty"));

        assert_eq!(status.message(), "url must not be empty");
    }

    #[test]
    fn a_reason_carries_its_domain_and_metadata() {
        let status = with_reason(Code::AlreadyExists, "BOOKMARK_EXISTS", "saved before", &[("id", "7")]);

        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("BOOKMARK_EXISTS", "bookmesh")
        );
        assert_eq!(info.metadata["id"], "7");
    }

    #[test]
    fn unavailable_says_when_to_try_again() {
        let status = unavailable("database is busy", Duration::from_secs(1));

        let retry = status.get_details_retry_info().unwrap();
        assert_eq!(retry.retry_delay, Some(Duration::from_secs(1)));
    }

    #[test]
    fn an_internal_error_tells_the_caller_nothing() {
        let status = internal(&anyhow::anyhow!("password of root is hunter2"));

        assert_eq!((status.code(), status.message()), (Code::Internal, "internal error"));
        assert!(!String::from_utf8_lossy(status.details()).contains("hunter2"));
    }
}
