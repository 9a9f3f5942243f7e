//! What the heads of answers say to browsers, and of RPCs that go away.

use edge_gateway::Settings;
use serde_json::{Value, json};

use crate::app::App;

#[tokio::test]
async fn every_answer_tells_browsers_what_not_to_do() {
    let app = App::start().await;

    for path in [
        "/v1/books",
        "/v1/books/7",
        "/nowhere",
        "/v1/books/7:watch",
        "/health/live",
        "/openapi.json",
    ] {
        let response = app.get(path).send().await.unwrap();
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin", "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!headers.contains_key("strict-transport-security"), "{path}");
    }
}

#[tokio::test]
async fn an_operator_may_say_otherwise() {
    let settings = "[security]
        strict_transport_security = 'max-age=31536000'
        cross_origin_resource_policy = 'cross-origin'
        referrer_policy = ''
        content_security_policy = \"default-src 'self'\"";
    let app = App::start_configured(settings.parse::<Settings>().unwrap(), None).await;

    let response = app.get("/v1/books").send().await.unwrap();
    let page = app.get("/docs").send().await.unwrap();

    let headers = response.headers();
    assert_eq!(headers["strict-transport-security"], "max-age=31536000");
    assert_eq!(headers["cross-origin-resource-policy"], "cross-origin");
    assert_eq!(headers["content-security-policy"], "default-src 'self'");
    assert!(!headers.contains_key("referrer-policy"));
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'self'"), "a page has its own: {policy}");
    assert!("[security]\nreferrer_policy = \"a\\nb\"".parse::<Settings>().is_err());
}

#[tokio::test]
async fn an_rpc_that_goes_away_says_so_on_every_answer() {
    let app = App::start().await;

    for (path, status) in [
        ("/v1/old/7", 200),
        ("/v1/old/unknown", 404),
        ("/v1/old/7?colour=red", 400),
    ] {
        let response = app.get(path).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        let headers = response.headers();
        assert_eq!(headers["deprecation"], "@1767225600", "{path}");
        assert_eq!(headers["sunset"], "Fri, 01 Jan 2027 00:00:00 GMT", "{path}");
        let link = "</docs#LibraryService_GetOldBook>; rel=\"deprecation\"; type=\"text/html\"";
        assert_eq!(headers["link"], link, "{path}");
    }
    let other = app.get("/v1/books").send().await.unwrap();
    for name in ["deprecation", "sunset"] {
        assert!(!other.headers().contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn the_document_says_what_goes_away() {
    let app = App::start().await;

    let document: Value = app.get("/openapi.json").send().await.unwrap().json().await.unwrap();

    let operation = |path: &str| document["paths"][path]["get"].clone();
    let old = operation("/v1/old/{id}");
    assert_eq!(old["deprecated"], json!(true));
    assert_eq!(
        old["operationId"], "LibraryService_GetOldBook",
        "where the link leads to"
    );
    for name in ["Deprecation", "Sunset", "Link"] {
        let header = &old["responses"]["200"]["headers"][name];
        assert!(header.is_object(), "{name} in {old}");
        assert!(document["components"]["headers"][name]["example"].is_string(), "{name}");
    }
    let other = operation("/v1/books/{id}");
    assert!(other["deprecated"].is_null());
    assert!(other["responses"]["200"]["headers"]["Sunset"].is_null());
}
