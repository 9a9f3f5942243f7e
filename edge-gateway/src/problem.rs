//! Errors as RFC 9457 problem details.

pub(crate) mod code;
mod status;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use serde::Serialize;
use tonic::Code;
use transcode::FieldViolation;

pub(crate) use status::{EndedCall, is_timeout};

pub(crate) const CONTENT_TYPE: &str = "application/problem+json";
/// `domain` of what the edge itself refuses; services have their own.
pub(crate) const EDGE_DOMAIN: &str = "edge";
pub(crate) const INVALID_FIELDS: &str = "INVALID_FIELDS";

/// An error on its way to the caller; small, because it is the other half of every result.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Parts {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    /// A stable name in upper case; empty when a service gave none.
    pub(crate) reason: Cow<'static, str>,
    pub(crate) domain: Cow<'static, str>,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) errors: Vec<FieldError>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one field, named as the caller sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct FieldError {
    pub(crate) field: String,
    pub(crate) description: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    instance: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    domain: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    request_id: &'a str,
    trace_id: &'a str,
}

/// What a problem says of the request that it answers.
#[derive(Clone, Copy)]
pub(crate) struct Occurrence<'a> {
    pub(crate) path: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) trace_id: &'a str,
}

/// Where `/docs` says what the reason means and what can be done.
pub(crate) fn type_of(reason: &str) -> String {
    format!("/docs#problem-{reason}")
}

impl Deref for Problem {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl Problem {
    /// One of the edge's own.
    pub(crate) fn new(
        status: StatusCode,
        code: Code,
        reason: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Parts {
            status,
            code,
            reason: Cow::Borrowed(reason),
            domain: Cow::Borrowed(EDGE_DOMAIN),
            detail: detail.into(),
            metadata: BTreeMap::new(),
            errors: Vec::new(),
            retry_after: None,
            headers: Vec::new(),
        }))
    }

    pub(crate) fn bad_request(reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, reason, detail)
    }

    /// Fields of path, query or body that cannot be read.
    pub(crate) fn invalid_fields(violations: Vec<FieldViolation>) -> Self {
        let errors: Vec<FieldError> = violations
            .into_iter()
            .map(|violation| FieldError {
                field: violation.field,
                description: violation.description,
            })
            .collect();
        let detail = match errors.as_slice() {
            [only] if only.field.is_empty() => only.description.clone(),
            [only] => format!("{}: {}", only.field, only.description),
            several => format!("{} fields are not valid", several.len()),
        };
        let mut problem = Self::bad_request(INVALID_FIELDS, detail);
        problem.errors = errors;
        problem
    }

    pub(crate) fn deadline_exceeded() -> Self {
        let detail = "the service did not answer in time";
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            Code::DeadlineExceeded,
            "DEADLINE_EXCEEDED",
            detail,
        )
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::Internal,
            "INTERNAL",
            "internal error",
        )
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Names fields as the caller sees them: a body that is one field of the request has no name of its own.
    pub(crate) fn relative_to(mut self, body_field: Option<&str>) -> Self {
        let Some(body_field) = body_field else { return self };
        for error in &mut self.errors {
            if let Some(inner) = error.field.strip_prefix(body_field) {
                let inner = inner.strip_prefix('.').or_else(|| inner.is_empty().then_some(inner));
                error.field = inner.unwrap_or(&error.field).to_owned();
            }
        }
        self
    }

    pub(crate) fn to_json(&self, occurrence: Occurrence<'_>) -> Vec<u8> {
        let r#type = match self.reason.as_ref() {
            "" => "about:blank".to_owned(),
            reason => type_of(reason),
        };
        let body = Body {
            r#type,
            title: code::title(self.status, self.code),
            status: self.status.as_u16(),
            detail: &self.detail,
            instance: occurrence.path,
            code: code::name(self.code),
            reason: &self.reason,
            domain: &self.domain,
            metadata: &self.metadata,
            errors: &self.errors,
            request_id: occurrence.request_id,
            trace_id: occurrence.trace_id,
        };
        serde_json::to_vec(&body).expect("strings and numbers are always JSON")
    }

    pub(crate) fn to_response(&self, occurrence: Occurrence<'_>) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.content_type(CONTENT_TYPE);
        if let Some(delay) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, delay.as_secs_f64().ceil().max(1.0) as u64));
        }
        for (name, value) in &self.headers {
            response.append_header((name.clone(), value.clone()));
        }
        response.body(self.to_json(occurrence))
    }
}
