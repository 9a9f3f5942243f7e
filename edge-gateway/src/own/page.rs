//! A text that does not change while the process runs.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use crate::compress::{self, Forms};
use crate::etag;
use crate::respond;

/// Scripts, styles and calls of this origin alone, and nothing inline: a text that got into a page could do nothing.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) struct Page {
    content_type: &'static str,
    body: Bytes,
    /// Without its quotes.
    etag: String,
    /// Compressed when they are first asked for, and not at the start, which has to be quick.
    forms: Arc<Forms>,
}

impl Page {
    pub(super) fn new(content_type: &'static str, body: Vec<u8>) -> Self {
        Self::of_bytes(content_type, Bytes::from(body))
    }

    pub(super) fn of_text(content_type: &'static str, text: &'static str) -> Self {
        Self::of_bytes(content_type, Bytes::from_static(text.as_bytes()))
    }

    fn of_bytes(content_type: &'static str, body: Bytes) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        Self {
            content_type,
            etag: format!("{:016x}", hasher.finish()),
            body,
            forms: Arc::default(),
        }
    }

    pub(super) fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let is_unchanged = respond::is_unchanged(request, &self.etag);
        let mut response = if is_unchanged {
            HttpResponse::NotModified()
        } else {
            HttpResponse::Ok()
        };
        if let Some(etag) = etag::quoted(&self.etag) {
            response.insert_header((header::ETAG, etag));
        }
        response
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY));
        if is_unchanged {
            response.finish()
        } else {
            let mut response = response.content_type(self.content_type).body(self.body.clone());
            compress::remember(&mut response, &self.forms);
            response
        }
    }
}
