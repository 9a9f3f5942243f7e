//! What a caller is told of its limit: the header fields of draft-ietf-httpapi-ratelimit-headers-11, and 429.

use std::fmt::Write;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::BytesMut;
use tonic::Code;

use super::bucket::{Bucket, Decision};
use super::settings::Rule;
use crate::gcra::Micros;
use crate::problem::Problem;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// A name, and two numbers with what stands around them.
const RATE_LIMIT_BYTES: usize = 48;

/// Where a caller stands after a call.
#[derive(Clone)]
pub(crate) struct Standing {
    limit: &'static str,
    policy: HeaderValue,
    remaining: u32,
    full_in: Micros,
}

impl Standing {
    pub(super) fn of(bucket: &Bucket, rule: &Rule, now: Micros) -> Self {
        Self {
            limit: rule.name,
            policy: rule.policy.clone(),
            remaining: bucket.remaining(rule.rate, now),
            full_in: bucket.full_in(now),
        }
    }

    /// Puts it into the head of an answer.
    pub(crate) fn stamp(self, headers: &mut HeaderMap) {
        let mut text = BytesMut::with_capacity(RATE_LIMIT_BYTES);
        let seconds = self.full_in.div_ceil(1_000_000);
        let written = write!(text, "\"{}\";r={};t={seconds}", self.limit, self.remaining);
        if let (Ok(()), Ok(value)) = (written, HeaderValue::from_maybe_shared(text.freeze())) {
            headers.insert(RATE_LIMIT, value);
        }
        headers.insert(RATE_LIMIT_POLICY, self.policy);
    }
}

/// An error when it was refused.
pub(super) fn outcome(decision: Decision, rule: &Rule) -> Result<(), Problem> {
    let retry_in = match decision {
        Decision::Allowed => return Ok(()),
        Decision::Refused { retry_in } => Duration::from_micros(retry_in),
    };
    let detail = format!("the limit {} is reached; Retry-After says when to try again", rule.name);
    let mut problem = Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        Code::ResourceExhausted,
        "RATE_LIMITED",
        detail,
    );
    problem.retry_after = Some(retry_in);
    problem.metadata.insert("limit".to_owned(), rule.name.to_owned());
    Err(problem)
}
