//! The few paths that the edge answers by itself.

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse};

use crate::problem::Problem;
use crate::worker::Worker;
use crate::{forward, health};

const DOCS: &str = include_str!("docs.html");
const PATHS: [&str; 5] = [
    "/health/live",
    "/health/ready",
    "/health/startup",
    "/openapi.json",
    "/docs",
];

/// The path, when it is one of them.
pub(crate) fn known_path(path: &str) -> Option<&'static str> {
    PATHS.into_iter().find(|own| *own == path)
}

/// Nothing when the path is not one of them.
pub(crate) async fn answer(worker: &Worker, request: &HttpRequest) -> Option<Result<HttpResponse, Problem>> {
    let path = known_path(request.uri().path())?;
    let allow = "GET, HEAD, OPTIONS";
    match *request.method() {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => {
            return Some(Ok(HttpResponse::NoContent()
                .insert_header((header::ALLOW, allow))
                .finish()));
        }
        _ => return Some(Err(forward::method_not_allowed(allow))),
    }
    Some(Ok(match path {
        "/health/live" => health::live(),
        "/health/startup" => health::startup(),
        "/health/ready" => health::ready(worker).await,
        "/openapi.json" => HttpResponse::Ok()
            .content_type("application/json")
            .body(worker.edge.openapi.clone()),
        _ => HttpResponse::Ok().content_type("text/html; charset=utf-8").body(DOCS),
    }))
}
