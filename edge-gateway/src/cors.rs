//! Calls by scripts of other sites (the CORS protocol of the Fetch standard), for the sites that the settings name.

mod settings;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use settings::Origins;

pub use settings::CorsSettings;

/// Whether a browser asks, before a script's call, if the call may be made.
pub(crate) fn is_preflight(request: &HttpRequest) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight of a path that is there for the methods of `allow`. It has no token, and no limit counts it: the
/// call that follows has both. Without the headers the browser makes no call.
pub(crate) fn preflight(settings: &CorsSettings, request: &HttpRequest, allow: &str) -> HttpResponse {
    let mut response = HttpResponse::NoContent();
    response.insert_header((header::ALLOW, allow));
    if matches!(settings.origins, Origins::Listed(_)) {
        for name in ["access-control-request-method", "access-control-request-headers"] {
            response.append_header((header::VARY, name));
        }
    }
    if allowed_origin(settings, request).is_some() {
        response
            .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, allow))
            .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, settings.allowed_headers.clone()))
            .insert_header((header::ACCESS_CONTROL_MAX_AGE, settings.max_age_seconds));
    }
    response.finish()
}

/// Says on an answer which script may see it, and what of it.
pub(crate) fn stamp(settings: &CorsSettings, request: &HttpRequest, headers: &mut HeaderMap) {
    match settings.origins {
        Origins::None => return,
        Origins::Any => {}
        // For those who get no permission too: a cache would hand their answer to others.
        Origins::Listed(_) => headers.append(header::VARY, HeaderValue::from_static("origin")),
    }
    let Some(origin) = allowed_origin(settings, request) else {
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if settings.credentials {
        let value = HeaderValue::from_static("true");
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, value);
    }
    if !settings.exposed_headers.is_empty() {
        let exposed = settings.exposed_headers.clone();
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

/// What the caller's site is told to be allowed as.
fn allowed_origin(settings: &CorsSettings, request: &HttpRequest) -> Option<HeaderValue> {
    let origin = request.headers().get(header::ORIGIN)?;
    match &settings.origins {
        Origins::None => None,
        Origins::Any => Some(HeaderValue::from_static("*")),
        Origins::Listed(listed) => listed.iter().find(|allowed| *allowed == origin).cloned(),
    }
}
