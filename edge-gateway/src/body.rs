//! Request bodies: their type, their size, their bytes.

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures::{FutureExt, StreamExt};
use tonic::Code;

use crate::connection::ConnectionSettings;
use crate::exchange;
use crate::problem::Problem;

/// The whole body, at most `limit` bytes.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: Payload,
    limit: u64,
    settings: ConnectionSettings,
) -> Result<Bytes, Problem> {
    check_declared_length(request, limit)?;
    tokio::time::timeout(settings.body(), collect(payload, limit, settings))
        .await
        .map_err(|_| {
            let detail = format!("the body did not arrive within {} ms", settings.body_ms);
            too_slow(detail)
        })?
}

/// The next piece of a body.
pub(crate) async fn next_piece(payload: &mut Payload, settings: ConnectionSettings) -> Result<Option<Bytes>, Problem> {
    // Most pieces are there already, and need no timer.
    let next = match payload.next().now_or_never() {
        Some(next) => next,
        None => tokio::time::timeout(settings.body_idle(), payload.next())
            .await
            .map_err(|_| too_slow(format!("nothing of the body came for {} ms", settings.body_idle_ms)))?,
    };
    next.transpose().map_err(|error| broken(&error))
}

/// JSON, or nothing said. A merge patch (RFC 7396) is what an update by mask is.
pub(crate) fn check_is_json(request: &HttpRequest) -> Result<(), Problem> {
    let headers = request.headers();
    if let Some(encoding) = exchange::header(headers, header::CONTENT_ENCODING)
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
    let declared = exchange::header(request.headers(), header::CONTENT_LENGTH);
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

pub(crate) fn too_slow(detail: String) -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        Code::DeadlineExceeded,
        "BODY_TOO_SLOW",
        detail,
    )
}

async fn collect(mut payload: Payload, limit: u64, settings: ConnectionSettings) -> Result<Bytes, Problem> {
    let Some(first) = next_piece(&mut payload, settings).await? else {
        return Ok(Bytes::new());
    };
    if first.len() as u64 > limit {
        return Err(too_large(limit));
    }
    // Most bodies come in one piece, which is then used as it is.
    let Some(second) = next_piece(&mut payload, settings).await? else {
        return Ok(first);
    };
    let mut whole = BytesMut::from(first.as_ref());
    let mut next = Some(second);
    while let Some(chunk) = next {
        whole.extend_from_slice(&chunk);
        if whole.len() as u64 > limit {
            return Err(too_large(limit));
        }
        next = next_piece(&mut payload, settings).await?;
    }
    Ok(whole.freeze())
}
