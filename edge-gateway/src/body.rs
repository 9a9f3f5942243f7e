//! Request bodies: their type, their size, their bytes.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures::StreamExt;
use tonic::Code;

use crate::exchange;
use crate::problem::Problem;

/// How long a caller may take for a body that is kept in memory.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The whole body, at most `limit` bytes.
pub(crate) async fn read(request: &HttpRequest, payload: Payload, limit: u64) -> Result<Bytes, Problem> {
    check_declared_length(request, limit)?;
    tokio::time::timeout(BODY_TIMEOUT, collect(payload, limit))
        .await
        .map_err(|_| too_slow())?
}

/// JSON, or nothing said. A merge patch (RFC 7396) is what an update by mask is.
pub(crate) fn check_is_json(request: &HttpRequest) -> Result<(), Problem> {
    let headers = request.headers();
    if let Some(encoding) = exchange::header(headers, header::CONTENT_ENCODING.as_str())
        && !encoding.eq_ignore_ascii_case("identity")
    {
        return Err(unsupported("a body must not be compressed"));
    }
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = content_type
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let is_json = essence.eq_ignore_ascii_case("application/json")
        || (essence.eq_ignore_ascii_case("application/merge-patch+json") && request.method() == "PATCH");
    if is_json {
        Ok(())
    } else {
        Err(unsupported("the body must be application/json"))
    }
}

pub(crate) fn check_declared_length(request: &HttpRequest, limit: u64) -> Result<(), Problem> {
    let declared = exchange::header(request.headers(), header::CONTENT_LENGTH.as_str());
    match declared.and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length > limit => Err(too_large(limit)),
        _ => Ok(()),
    }
}

pub(crate) fn too_large(limit: u64) -> Problem {
    let detail = format!("the body has more than {limit} bytes");
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        Code::InvalidArgument,
        "BODY_TOO_LARGE",
        detail,
    )
}

pub(crate) fn unsupported(detail: &'static str) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::InvalidArgument,
        "UNSUPPORTED_MEDIA_TYPE",
        detail,
    )
}

pub(crate) fn broken(error: &PayloadError) -> Problem {
    Problem::bad_request("BODY_INCOMPLETE", format!("the body could not be read: {error}"))
}

fn too_slow() -> Problem {
    let detail = format!("the body did not arrive within {} seconds", BODY_TIMEOUT.as_secs());
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        Code::DeadlineExceeded,
        "BODY_TOO_SLOW",
        detail,
    )
}

async fn collect(mut payload: Payload, limit: u64) -> Result<Bytes, Problem> {
    let Some(first) = payload.next().await else {
        return Ok(Bytes::new());
    };
    let first = first.map_err(|error| broken(&error))?;
    if first.len() as u64 > limit {
        return Err(too_large(limit));
    }
    // Most bodies come in one piece, which is then used as it is.
    let Some(second) = payload.next().await else {
        return Ok(first);
    };
    let mut whole = BytesMut::from(first.as_ref());
    let mut next = Some(second);
    while let Some(chunk) = next {
        whole.extend_from_slice(&chunk.map_err(|error| broken(&error))?);
        if whole.len() as u64 > limit {
            return Err(too_large(limit));
        }
        next = payload.next().await;
    }
    Ok(whole.freeze())
}
