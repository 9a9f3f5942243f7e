//! One request with its answer: who it is in logs, metrics and traces.

use std::cell::Cell;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};
use service::trace;
use uuid::Uuid;

use crate::client::{self, ClientSettings};
use crate::limit::Standing;
use crate::problem::Occurrence;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static(trace::TRACEPARENT);
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const MAX_REQUEST_ID_BYTES: usize = 128;

#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) started: Instant,
    pub(crate) request_id: String,
    pub(crate) traceparent: String,
    /// Where the request comes from.
    pub(crate) client: Option<IpAddr>,
    /// The route, once it is known.
    pub(crate) route: Option<usize>,
    /// Where the caller stands with its limit, once that is known.
    pub(crate) standing: Option<Standing>,
    /// What of the time was spent waiting for the service.
    pub(crate) upstream: Duration,
    /// How often the service was asked.
    pub(crate) attempts: Cell<u32>,
    /// Whether an attempt without an answer may have done what was asked.
    pub(crate) may_be_done: Cell<bool>,
}

impl Exchange {
    /// Needs the request's span, when there is one, to be the current one.
    pub(crate) fn begin(request: &HttpRequest, settings: ClientSettings, started: Instant) -> Self {
        Self {
            started,
            request_id: request_id(request.headers()),
            traceparent: trace::current_traceparent().unwrap_or_else(|| traceparent(request.headers())),
            client: client::address(request, settings),
            route: None,
            standing: None,
            upstream: Duration::ZERO,
            attempts: Cell::new(0),
            may_be_done: Cell::new(false),
        }
    }

    pub(crate) fn trace_id(&self) -> &str {
        self.traceparent.get(3..35).unwrap_or_default()
    }

    /// Whether somebody records the trace (the flag of W3C trace context).
    pub(crate) fn is_sampled(&self) -> bool {
        let flags = self.traceparent.get(53..).unwrap_or_default();
        u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1)
    }

    pub(crate) fn occurrence<'a>(&'a self, request: &'a HttpRequest) -> Occurrence<'a> {
        Occurrence {
            path: request.uri().path(),
            request_id: &self.request_id,
            trace_id: self.trace_id(),
        }
    }
}

pub(crate) fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The caller's, when it can go into logs as it is; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_sane = |id: &&str| {
        !id.is_empty() && id.len() <= MAX_REQUEST_ID_BYTES && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match header(headers, REQUEST_ID).filter(is_sane) {
        Some(id) => id.to_owned(),
        None => Uuid::now_v7().to_string(),
    }
}

/// Where no spans are collected: the caller's trace goes on, or one begins that nobody records.
fn traceparent(headers: &HeaderMap) -> String {
    match header(headers, TRACEPARENT).filter(|parent| is_traceparent(parent)) {
        Some(parent) => parent.to_owned(),
        None => {
            let span = Uuid::new_v4().simple().to_string();
            format!("00-{}-{}-00", Uuid::new_v4().simple(), &span[..16])
        }
    }
}

fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [2, 32, 16, 2]
        && parts.iter().all(|part| is_hex(part))
        && parts[0] == "00"
        && parts[1..3].iter().all(|id| id.bytes().any(|byte| byte != b'0'))
}

#[cfg(test)]
mod tests {
    use super::is_traceparent;

    #[test]
    fn only_a_whole_trace_parent_counts() {
        assert!(is_traceparent(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        ));
        for broken in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(!is_traceparent(broken), "{broken}");
        }
    }
}
