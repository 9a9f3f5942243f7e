//! The few paths that the edge answers by itself.

mod page;

use std::sync::{Arc, OnceLock};

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use crate::contract::Contract;
use crate::openapi;
use crate::problem::Problem;
use crate::worker::Worker;
use crate::{forward, health};
use page::Page;

const PATHS: [&str; 12] = [
    "/",
    "/health/live",
    "/health/ready",
    "/health/startup",
    "/openapi.json",
    "/collection.json",
    "/docs",
    "/docs/docs.css",
    "/docs/docs.js",
    "/docs/access.js",
    "/docs/make.js",
    "/docs/try.js",
];
pub(crate) const ALLOW: &str = "GET, HEAD, OPTIONS";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const SCRIPTS: [(&str, &str); 4] = [
    ("/docs/docs.js", include_str!("own/docs.js")),
    ("/docs/access.js", include_str!("own/access.js")),
    ("/docs/make.js", include_str!("own/make.js")),
    ("/docs/try.js", include_str!("own/try.js")),
];

/// What the edge says of itself and its contract. It is made when somebody asks for it first: that takes as long, and as much
/// memory, as all the rest of the start, and most edges are never asked.
pub(crate) struct Pages {
    descriptor_set: Vec<u8>,
    ready: OnceLock<Ready>,
}

/// To be sent as they are.
struct Ready {
    home: Page,
    openapi: Page,
    collection: Page,
    docs: Page,
    style: Page,
    /// By their paths.
    scripts: [(&'static str, Page); 4],
}

impl Pages {
    /// Of a descriptor set that has been compiled before.
    pub(crate) fn of(descriptor_set: &[u8]) -> Self {
        Self {
            descriptor_set: descriptor_set.to_vec(),
            ready: OnceLock::new(),
        }
    }

    fn ready(&self) -> &Ready {
        self.ready.get_or_init(|| {
            let contract = Contract::compile(&self.descriptor_set);
            Ready::of(&contract.expect("it was compiled at the start"))
        })
    }
}

impl Ready {
    fn of(contract: &Contract) -> Self {
        let document = openapi::document(contract);
        let collection = openapi::collection(&document);
        Self {
            home: Page::new(HTML, home(&document["info"]).into_bytes()),
            openapi: Page::new(JSON, openapi::bytes(&document)),
            collection: Page::new(JSON, openapi::bytes(&collection)),
            docs: Page::of_text(HTML, include_str!("own/docs.html")),
            style: Page::of_text("text/css; charset=utf-8", include_str!("own/docs.css")),
            scripts: SCRIPTS.map(|(path, text)| (path, Page::of_text("text/javascript; charset=utf-8", text))),
        }
    }
}

/// The path, when it is one of them.
pub(crate) fn known_path(path: &str) -> Option<&'static str> {
    PATHS.into_iter().find(|own| *own == path)
}

/// Nothing when the path is not one of them.
pub(crate) async fn answer(worker: &Worker, request: &HttpRequest) -> Option<Result<HttpResponse, Problem>> {
    let path = known_path(request.uri().path())?;
    match *request.method() {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => {
            return Some(Ok(HttpResponse::NoContent()
                .insert_header((header::ALLOW, ALLOW))
                .finish()));
        }
        _ => return Some(Err(forward::method_not_allowed(ALLOW))),
    }
    match path {
        "/health/live" => Some(Ok(health::live())),
        "/health/startup" => Some(Ok(health::startup())),
        "/health/ready" => Some(Ok(health::ready(worker).await)),
        page => answer_page(worker, request, page).await.map(Ok),
    }
}

async fn answer_page(worker: &Worker, request: &HttpRequest, path: &str) -> Option<HttpResponse> {
    if worker.edge.pages.ready.get().is_none() {
        let edge = Arc::clone(&worker.edge);
        // Not on the worker, whose other callers would wait. Were the thread lost, the page is made below.
        let _ = tokio::task::spawn_blocking(move || _ = edge.pages.ready()).await;
    }
    let pages = worker.edge.pages.ready();
    Some(match path {
        "/openapi.json" => pages.openapi.answer(request),
        "/collection.json" => pages.collection.answer(request),
        "/docs" => pages.docs.answer(request),
        "/docs/docs.css" => pages.style.answer(request),
        "/" => pages.home.answer(request),
        script => match pages.scripts.iter().find(|(path, _)| *path == script) {
            Some((_, page)) => page.answer(request),
            None => return None,
        },
    })
}

/// Complete without a script, for terminals and readers too.
fn home(info: &Value) -> String {
    let text = |name: &str| escaped(info[name].as_str().unwrap_or_default());
    let paragraphs = info["description"].as_str().unwrap_or_default().split("\n\n");
    let paragraphs: Vec<String> = paragraphs
        .map(|paragraph| format!("<p>{}</p>", code(&escaped(paragraph))))
        .collect();
    include_str!("own/home.html")
        .replace("{title}", &text("title"))
        .replace("{summary}", &text("summary"))
        .replace("{description}", &paragraphs.join("\n"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Every other piece between backticks is code.
fn code(text: &str) -> String {
    let mut html = String::new();
    for (place, piece) in text.split('`').enumerate() {
        if place % 2 == 1 {
            html.push_str(&format!("<code>{piece}</code>"));
        } else {
            html.push_str(piece);
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::home;
    use serde_json::json;

    #[test]
    fn texts_of_the_contract_are_no_html() {
        let info = json!({"title": "<b>A & B</b>", "summary": "\"s\"", "description": "Send `<x>`.\n\nThen wait."});

        let html = home(&info);

        assert!(html.contains("&lt;b&gt;A &amp; B&lt;/b&gt;"), "{html}");
        assert!(
            html.contains("<p>Send <code>&lt;x&gt;</code>.</p>\n<p>Then wait.</p>"),
            "{html}"
        );
        assert!(!html.contains("<b>"), "{html}");
    }
}
