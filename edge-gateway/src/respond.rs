//! A service's answer as an HTTP response.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use tonic::Code;
use transcode::{WriteOptions, peek};

use crate::call::{Call, split_raw_body};
use crate::compress::{self, Forms};
use crate::edge::Edge;
use crate::endpoint::{Location, Output, Success};
use crate::etag::{self, EntityTags};
use crate::policy::Access;
use crate::problem::Problem;

/// JSON is usually this much larger than its wire form.
const JSON_GROWTH: usize = 2;
const JSON: &str = "application/json";

pub(crate) fn success(call: &Call<'_>, message: &Bytes) -> Result<HttpResponse, Problem> {
    if call.endpoint.output == Output::Raw {
        let (content_type, data) = split_raw_body(message);
        return Ok(HttpResponse::Ok().content_type(content_type).body(data));
    }
    let is_read = call.found.route.http_method == "GET";
    let etag = call
        .endpoint
        .response_etag
        .and_then(|number| peek::last_text(message, number));
    let next_page_token = call
        .endpoint
        .next_page_token
        .and_then(|number| peek::last_text(message, number));
    if is_read && etag.is_some_and(|etag| is_unchanged(call.request, etag)) {
        let response = HttpResponse::NotModified().finish();
        return Ok(with_headers(call, response, next_page_token, etag));
    }
    let (status, location) = match call.endpoint.success {
        Success::Ok => (StatusCode::OK, None),
        Success::NoContent => return Ok(HttpResponse::NoContent().finish()),
        Success::Created(location) => (StatusCode::CREATED, location),
        Success::Accepted(location) => (StatusCode::ACCEPTED, location),
    };
    let mut response =
        HttpResponse::build(status)
            .content_type(JSON)
            .body(json(&call.worker.edge, call.found.index, message)?);
    if let Some(location) = location.and_then(|location| location_header(call.request, location, message)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(with_headers(call, response, next_page_token, etag))
}

/// An answer's parts that another answer can be made of.
pub(crate) struct Content {
    pub(crate) json: Bytes,
    /// Its compressed forms, when it is worth having them.
    pub(crate) forms: Option<Arc<Forms>>,
    pub(crate) etag: Option<String>,
    pub(crate) next_page_token: Option<String>,
}

/// The parts of an answer to a read.
pub(crate) fn content(call: &Call<'_>, message: &[u8]) -> Result<Content, Problem> {
    let text = |number: Option<u32>| number.and_then(|number| peek::last_text(message, number));
    let json = json(&call.worker.edge, call.found.index, message)?;
    let is_worth = call.endpoint.may_compress && json.len() as u64 >= compress::WORTH_BYTES;
    Ok(Content {
        json: json.into(),
        forms: is_worth.then(Arc::default),
        etag: text(call.endpoint.response_etag).map(str::to_owned),
        next_page_token: text(call.endpoint.next_page_token).map(str::to_owned),
    })
}

/// An answer to a read out of its parts.
pub(crate) fn from_content(call: &Call<'_>, content: &Content) -> HttpResponse {
    let etag = content.etag.as_deref();
    let response = if etag.is_some_and(|etag| is_unchanged(call.request, etag)) {
        HttpResponse::NotModified().finish()
    } else {
        let mut response = HttpResponse::Ok().content_type(JSON).body(content.json.clone());
        if let Some(forms) = &content.forms {
            compress::remember(&mut response, forms);
        }
        response
    };
    with_headers(call, response, content.next_page_token.as_deref(), etag)
}

/// One message of an answer as JSON.
pub(crate) fn json(edge: &Edge, route: usize, message: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut json = Vec::with_capacity(message.len() * JSON_GROWTH + 64);
    let options = WriteOptions { emit_defaults: true };
    match edge.routes.all()[route].write_response(&edge.plans, message, options, &mut json) {
        Ok(()) => Ok(json),
        Err(error) => {
            tracing::error!(rpc = %edge.endpoints[route].rpc_path, error = %error, "a service answered what is no message");
            Err(Problem::internal())
        }
    }
}

pub(crate) fn precondition_failed() -> Problem {
    let detail = "the resource has another entity tag";
    Problem::new(StatusCode::PRECONDITION_FAILED, Code::Aborted, "ETAG_MISMATCH", detail)
}

/// A header that may come in several lines, as one. Bytes that are no text fit nothing, but they are there: a condition
/// that cannot be read is none that holds.
pub(crate) fn joined_header(request: &HttpRequest, name: &str) -> Option<String> {
    let lines: Vec<Cow<'_, str>> = request
        .headers()
        .get_all(name)
        .map(|line| String::from_utf8_lossy(line.as_bytes()))
        .collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

pub(crate) fn is_unchanged(request: &HttpRequest, etag: &str) -> bool {
    let Some(header) = joined_header(request, "if-none-match") else {
        return false;
    };
    EntityTags::parse(&header).is_some_and(|tags| tags.matches_weakly(etag))
}

fn with_headers(
    call: &Call<'_>,
    mut response: HttpResponse,
    next_page_token: Option<&str>,
    etag: Option<&str>,
) -> HttpResponse {
    let etag = etag.and_then(etag::quoted);
    let headers: &mut HeaderMap = response.headers_mut();
    let may_be_kept = call.found.route.http_method == "GET";
    if !may_be_kept || matches!(call.endpoint.policy.access, Access::User { .. }) {
        // With an etag the caller may keep the answer, but must ask whether it still holds.
        let cache = if may_be_kept && etag.is_some() {
            "private, no-cache"
        } else {
            "no-store"
        };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    }
    if let Some(etag) = etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
        headers.insert(header::ETAG, etag);
    }
    if let Some(link) = next_page_token.and_then(|token| next_link(call.request, token)) {
        headers.insert(header::LINK, link);
    }
    response
}

fn location_header(request: &HttpRequest, location: Location, message: &[u8]) -> Option<HeaderValue> {
    let id = peek::last_text(message, location.id).filter(|id| !id.is_empty())?;
    HeaderValue::try_from(format!("{}/{}", request.uri().path(), percent_encoded(id))).ok()
}

/// The same query with another page token.
fn next_link(request: &HttpRequest, token: &str) -> Option<HeaderValue> {
    if token.is_empty() {
        return None;
    }
    let mut target = format!("{}?", request.uri().path());
    for pair in request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        if !matches!(pair.split('=').next(), Some("page_token" | "pageToken")) {
            target.push_str(pair);
            target.push('&');
        }
    }
    HeaderValue::try_from(format!("<{target}page_token={}>; rel=\"next\"", percent_encoded(token))).ok()
}

/// Everything but the unreserved characters of RFC 3986 is escaped.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
