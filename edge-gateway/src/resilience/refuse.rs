//! What callers are told whose calls are not made.

use std::time::Duration;

use actix_web::http::StatusCode;
use tonic::Code;

use crate::problem::Problem;

/// Overload passes as soon as others have had their answers.
const AFTER_OVERLOAD: Duration = Duration::from_secs(1);
/// One of the caller's own uploads must end first.
const AFTER_UPLOAD: Duration = Duration::from_secs(5);

pub(super) fn breaker_open(wait: Duration) -> Problem {
    let mut problem = Problem::unreachable();
    problem.retry_after = Some(wait);
    problem
}

pub(super) fn overloaded() -> Problem {
    let detail = "there is more to do than can be done at the moment: call again a little later";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut problem = Problem::new(status, Code::Unavailable, "OVERLOADED", detail);
    problem.retry_after = Some(AFTER_OVERLOAD);
    problem
}

pub(super) fn too_many_uploads(share: u32) -> Problem {
    let detail =
        format!("{share} of your uploads are under way, and that is all you may have at once: wait for one to end");
    let status = StatusCode::TOO_MANY_REQUESTS;
    let mut problem = Problem::new(status, Code::ResourceExhausted, "TOO_MANY_UPLOADS", detail);
    problem.retry_after = Some(AFTER_UPLOAD);
    problem
}
