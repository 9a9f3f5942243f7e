//! Answers that are compressed, and those that must not be.

use std::io::Read;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::app::App;

const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

fn decode(coding: &str, encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    match coding {
        "zstd" => zstd::Decoder::new(encoded).unwrap().read_to_end(&mut decoded).unwrap(),
        "br" => brotli::Decompressor::new(encoded, 4096)
            .read_to_end(&mut decoded)
            .unwrap(),
        "gzip" => flate2::read::GzDecoder::new(encoded).read_to_end(&mut decoded).unwrap(),
        other => panic!("no coding {other}"),
    };
    decoded
}

/// Head and body of a GET.
async fn get(app: &App, path: &str, accept_encoding: &str) -> (HeaderMap, Vec<u8>) {
    let request = app.user_request("GET", path).header("accept-encoding", accept_encoding);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let headers = response.headers().clone();
    (headers, response.bytes().await.unwrap().to_vec())
}

fn varies(headers: &HeaderMap) -> bool {
    headers.get_all("vary").iter().any(|line| line == "accept-encoding")
}

fn large() -> String {
    "x".repeat(3000)
}

#[tokio::test]
async fn an_answer_comes_in_the_coding_that_is_asked_for() {
    let app = App::start().await;
    let path = format!("/v1/books?query={}", large());
    let (headers, plain) = get(&app, &path, "identity").await;
    assert!(varies(&headers) && !headers.contains_key("content-encoding"));

    for coding in CODINGS {
        let (headers, body) = get(&app, &path, &format!("deflate, {coding};q=0.4, identity;q=0.2")).await;

        assert_eq!(headers["content-encoding"], coding);
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["content-length"], body.len().to_string().as_str());
        assert!(varies(&headers), "{coding}");
        assert!(
            body.len() * 4 < plain.len(),
            "{coding}: {} of {}",
            body.len(),
            plain.len()
        );
        assert_eq!(decode(coding, &body), plain, "{coding}");
    }
    for refused in ["gzip;q=0", "*;q=0", "deflate", "gzip;q=0.1, identity"] {
        let (headers, body) = get(&app, &path, refused).await;
        assert!(
            varies(&headers) && !headers.contains_key("content-encoding"),
            "{refused}"
        );
        assert_eq!(body, plain, "{refused}");
    }
}

#[tokio::test]
async fn what_is_small_or_is_no_text_goes_as_it_is() {
    let app = App::start().await;

    for path in ["/v1/books?query=x", "/v1/scans/7", "/v1/scans/large"] {
        let (headers, body) = get(&app, path, "gzip, br, zstd").await;
        assert!(!headers.contains_key("content-encoding") && !varies(&headers), "{path}");
        assert!(!body.is_empty());
    }
}

#[tokio::test]
async fn what_may_hold_a_secret_beside_what_was_sent_goes_as_it_is() {
    let app = App::start().await;

    // Its class is IDENTITY.
    let (headers, body) = get(&app, &format!("/v1/cards/{}", large()), "gzip").await;
    assert!(!headers.contains_key("content-encoding") && body.len() > 3000);
    // It is no read.
    let request = app.request("POST", &format!("/v1/books/{}:lend", large()));
    let response = request.header("accept-encoding", "gzip").send().await.unwrap();
    assert!(!response.headers().contains_key("content-encoding"));
    assert!(response.bytes().await.unwrap().len() > 3000);
}

#[tokio::test]
async fn events_and_lines_are_never_held_back_by_a_compressor() {
    let app = App::start().await;

    for accept in ["text/event-stream", "application/x-ndjson"] {
        let request = app.get("/v1/books/7:watch").header("accept", accept);
        let response = request
            .header("accept-encoding", "gzip, br, zstd")
            .send()
            .await
            .unwrap();

        assert_eq!(response.headers()["content-type"], accept);
        assert!(!response.headers().contains_key("content-encoding"), "{accept}");
        assert!(response.text().await.unwrap().contains("Dune"), "{accept}");
    }
}

#[tokio::test]
async fn the_entity_tag_of_a_compressed_answer_is_good_for_conditions() {
    let app = App::start().await;
    let path = format!("/v1/books/{}", large());
    let (headers, _) = get(&app, &path, "gzip").await;
    assert_eq!(headers["content-encoding"], "gzip");
    let etag = headers["etag"].clone();
    assert_eq!(etag, "\"v1\"", "as it is without a coding");

    for coding in ["gzip", "br", "identity"] {
        let request = app.user_request("GET", &path).header("if-none-match", &etag);
        let unchanged = request.header("accept-encoding", coding).send().await.unwrap();
        assert_eq!(unchanged.status(), 304, "{coding}");
        assert!(varies(unchanged.headers()), "{coding}");
        assert!(!unchanged.headers().contains_key("content-encoding"), "{coding}");
    }
    let change = app.request("PATCH", &path).header("if-match", &etag);
    let changed = change.json(&json!({"title": "T"})).send().await.unwrap();
    assert_eq!(changed.status(), 200);
}

#[tokio::test]
async fn a_kept_answer_is_there_in_every_coding() {
    let app = App::start().await;
    let path = format!("/v1/catalogs/{}", large());
    let (_, plain) = get(&app, &path, "identity").await;

    for coding in CODINGS.into_iter().chain(CODINGS) {
        let (headers, body) = get(&app, &path, coding).await;

        assert_eq!(headers["content-encoding"], coding);
        assert!(headers["cache-status"].to_str().unwrap().contains("hit"), "{headers:?}");
        assert_eq!(decode(coding, &body), plain, "{coding}");
    }
}

#[tokio::test]
async fn pages_are_compressed_too_and_head_tells_their_tag() {
    let app = App::start().await;

    for path in ["/openapi.json", "/docs/docs.js"] {
        let (plain_headers, plain) = get(&app, path, "identity").await;
        for coding in CODINGS.into_iter().chain(CODINGS) {
            let (headers, body) = get(&app, path, coding).await;
            assert_eq!(headers["content-encoding"], coding, "{path}");
            assert_eq!(headers["etag"], plain_headers["etag"], "{path}");
            assert_eq!(decode(coding, &body), plain, "{path}");
        }
        let head = app.request("HEAD", path).header("accept-encoding", "gzip");
        let head = head.send().await.unwrap();
        assert!(varies(head.headers()), "{path}");
        assert_eq!(head.headers()["etag"], plain_headers["etag"], "{path}");
    }
    let (_, document) = get(&app, "/openapi.json", "identity").await;
    assert!(document.len() > 32 * 1024, "large enough for another thread");
    serde_json::from_slice::<Value>(&document).unwrap();
}
