//! Headers of answers, and those that every operation takes.

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

use super::examples;
use crate::endpoint::{Endpoint, Success};

/// Every answer has these.
const EVERYWHERE: [&str; 4] = ["x-request-id", "traceparent", "RateLimit", "RateLimit-Policy"];

/// Those that the described operations mention.
pub(super) fn components(mentioned_in: &[&Value]) -> Map<String, Value> {
    let texts: Vec<String> = mentioned_in.iter().map(ToString::to_string).collect();
    let is_mentioned = |name: &str| {
        let reference = format!("\"#/components/headers/{name}\"");
        texts.iter().any(|text| text.contains(&reference))
    };
    let headers = match all() {
        Value::Object(headers) => headers,
        _ => Map::new(),
    };
    headers.into_iter().filter(|(name, _)| is_mentioned(name)).collect()
}

fn all() -> Value {
    let text = |description: &str, example: &str| json!({"description": description, "schema": {"type": "string"}, "example": example});
    json!({
        "x-request-id": text("Names the request in logs: the caller's own, or a new one.", examples::ID),
        "traceparent": text("The trace that the request belongs to (W3C Trace Context).", examples::TRACEPARENT),
        "RateLimit": text("How much may still be called, and in how many seconds there is more (draft-ietf-httpapi-ratelimit-headers).", "\"user\";r=42;t=7"),
        "RateLimit-Policy": text("How much may be called in how many seconds.", "\"user\";q=600;w=60"),
        "Retry-After": {"description": "Seconds to wait before trying again.", "schema": {"type": "integer", "minimum": 0}, "example": 1},
        "WWW-Authenticate": text("What a token must be (RFC 6750).", "Bearer error=\"invalid_token\""),
        "Cache-Control": text("For how long and by whom the answer may be kept.", "private, no-cache"),
        "ETag": text("Changes with every change. Send it as `If-None-Match` to get it only when it has changed, as `If-Match` to change only what you have seen.", "\"42\""),
        "Location": text("Where it is.", "/v1/example/01a209a8-369a-75a2-a99f-4c465a3b5b9d"),
        "Link": text("The next page, as rel=\"next\"; where more is said of what should no longer be used, as rel=\"deprecation\".", "</v1/example?page_token=AQID>; rel=\"next\""),
        "Deprecation": text("Since when this should no longer be used (RFC 9745).", "@1767225600"),
        "Sunset": text("When this goes away (RFC 8594).", "Fri, 01 Jan 2027 00:00:00 GMT"),
    })
}

/// What any request may say about itself.
pub(super) fn parameters() -> Value {
    json!({
        "RequestTimeout": {
            "in": "header",
            "name": "Request-Timeout",
            "description": "Seconds after which the caller no longer needs the answer; shortens what the contract allows.",
            "required": false,
            "schema": {"type": "number", "exclusiveMinimum": 0},
            "example": 5,
        },
        "RequestId": {
            "in": "header",
            "name": "x-request-id",
            "description": "Names the request in logs and in the answer; one that is not 1 to 128 printable ASCII characters is replaced.",
            "required": false,
            "schema": {"type": "string"},
            "example": examples::ID,
        },
    })
}

/// References to the parameters.
pub(super) fn parameter_references() -> [Value; 2] {
    ["RequestTimeout", "RequestId"].map(|name| json!({"$ref": format!("#/components/parameters/{name}")}))
}

pub(super) fn of_problem(status: StatusCode) -> Map<String, Value> {
    let own: &[&str] = match status.as_u16() {
        401 | 403 => &["WWW-Authenticate"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    };
    references(EVERYWHERE.iter().chain(own))
}

pub(super) fn of_unchanged() -> Map<String, Value> {
    references(EVERYWHERE.iter().chain(&["ETag", "Cache-Control"]))
}

pub(super) fn of_success(endpoint: &Endpoint) -> Map<String, Value> {
    let lifecycle = endpoint.policy.lifecycle;
    let has_location = matches!(endpoint.success, Success::Created(Some(_)) | Success::Accepted(Some(_)));
    let own = [
        ("Cache-Control", endpoint.success != Success::NoContent),
        ("Location", has_location),
        ("ETag", endpoint.response_etag.is_some()),
        ("Link", endpoint.next_page_token.is_some() || lifecycle.is_some()),
        ("Deprecation", lifecycle.is_some()),
        ("Sunset", lifecycle.is_some_and(|lifecycle| lifecycle.sunset.is_some())),
    ];
    let own = own.iter().filter(|(_, is_sent)| *is_sent).map(|(name, _)| name);
    references(EVERYWHERE.iter().chain(own))
}

fn references<'n>(names: impl Iterator<Item = &'n &'n str>) -> Map<String, Value> {
    names
        .map(|name| {
            let reference = json!({"$ref": format!("#/components/headers/{name}")});
            ((*name).to_owned(), reference)
        })
        .collect()
}
