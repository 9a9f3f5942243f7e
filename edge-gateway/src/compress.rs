//! Answers that are smaller on the wire for callers who take them so.

mod accept;
mod coding;

use std::sync::Arc;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use accept::Accepted;
pub(crate) use coding::{Coding, Forms};

/// Below this, one packet carries the answer whatever its form.
pub(crate) const WORTH_BYTES: u64 = 1024;
/// What a worker compresses itself: more would make its other callers wait for longer than a change of threads takes.
const IN_PLACE_BYTES: usize = 32 * 1024;

/// Lets the forms of a content that is sent more than once be found again.
pub(crate) fn remember(response: &mut HttpResponse, forms: &Arc<Forms>) {
    response.extensions_mut().insert(Arc::clone(forms));
}

/// What is to be done about an answer's size.
pub(crate) enum Plan {
    AsItIs,
    Encode(Coding),
}

/// Marks an answer whose form depends on the caller, and says which form this one gets. Streams have no size and are never
/// compressed: their messages would wait for one another.
pub(crate) fn plan(request: &HttpRequest, response: &mut HttpResponse) -> Plan {
    // Of an answer that the caller has already, only its marks are sent, and they have to be those of the answer itself.
    let is_unchanged = response.status() == StatusCode::NOT_MODIFIED;
    let size = match response.body().size() {
        BodySize::Sized(size) if !is_unchanged => size,
        BodySize::Sized(_) | BodySize::None | BodySize::Stream if is_unchanged => WORTH_BYTES,
        BodySize::Sized(_) | BodySize::None | BodySize::Stream => return Plan::AsItIs,
    };
    if size < WORTH_BYTES || (!is_unchanged && !is_compressible(response)) {
        return Plan::AsItIs;
    }
    let lines = request.headers().get_all(header::ACCEPT_ENCODING);
    let accepted = Accepted::read(lines.filter_map(|line| line.to_str().ok()));
    let vary = HeaderValue::from_static("accept-encoding");
    response.headers_mut().append(header::VARY, vary);
    match accepted.best() {
        Some(coding) if request.method() != Method::HEAD && !is_unchanged => Plan::Encode(coding),
        Some(_) | None => Plan::AsItIs,
    }
}

/// The entity tag stays: it names a state of the resource, which is what If-Match and If-None-Match ask for, and the edge
/// answers no ranges, for which bytes would have to be the same.
pub(crate) async fn encode(response: HttpResponse, coding: Coding) -> HttpResponse {
    let forms = response.extensions().get::<Arc<Forms>>().cloned();
    let (mut response, body) = response.into_parts();
    let content = match body.try_into_bytes() {
        Ok(content) => content,
        Err(body) => return response.set_body(body),
    };
    match encoded(forms, coding, content.clone()).await {
        Some(encoded) => {
            response.headers_mut().insert(header::CONTENT_ENCODING, coding.header());
            response.set_body(encoded).map_into_boxed_body()
        }
        None => response.set_body(content).map_into_boxed_body(),
    }
}

async fn encoded(forms: Option<Arc<Forms>>, coding: Coding, content: Bytes) -> Option<Bytes> {
    let is_quick = content.len() <= IN_PLACE_BYTES || forms.as_ref().is_some_and(|forms| forms.is_made(coding));
    let encode = move || match forms {
        Some(forms) => forms.get(coding, &content),
        None => coding::smaller(coding, &content),
    };
    if is_quick {
        return encode();
    }
    // It fails only when the process is ending; the answer then goes as it is.
    web::block(encode).await.unwrap_or_default()
}

/// Text. What else there is, such as images and archives, is compressed already or cannot be known to gain.
fn is_compressible(response: &HttpResponse) -> bool {
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        return false;
    }
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_event_stream = essence.eq_ignore_ascii_case("text/event-stream");
    let is_text = ["text/", "application/json", "application/xml", "application/javascript"]
        .iter()
        .any(|start| {
            essence
                .get(..start.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
        });
    !is_event_stream && (is_text || essence.ends_with("+json") || essence.ends_with("+xml"))
}
