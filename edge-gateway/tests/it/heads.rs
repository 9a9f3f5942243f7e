//! What the heads of answers say to browsers.

use edge_gateway::Settings;

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
