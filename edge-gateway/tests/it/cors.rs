//! Scripts of other sites.

use edge_gateway::Settings;
use reqwest::Response;

use crate::app::App;

const LISTED: &str = "[cors]
origins = ['https://app.example', 'http://127.0.0.1:3000']
credentials = true
max_age_seconds = 60
allowed_headers = ['authorization', 'x-own']
exposed_headers = ['etag']";

async fn app(settings: &str) -> App {
    App::start_configured(settings.parse::<Settings>().unwrap(), None).await
}

async fn preflight(app: &App, path: &str, origin: &str) -> Response {
    let request = app.request("OPTIONS", path).header("origin", origin);
    let request = request.header("access-control-request-method", "PATCH");
    let request = request.header("access-control-request-headers", "authorization");
    request.send().await.unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn varies_by_origin(response: &Response) -> bool {
    response.headers().get_all("vary").iter().any(|line| line == "origin")
}

#[tokio::test]
async fn without_settings_no_site_is_allowed_anything() {
    let app = App::start().await;

    let preflight = preflight(&app, "/v1/books/7", "https://app.example").await;
    let call = app.get("/v1/books").header("origin", "https://app.example");
    let call = call.send().await.unwrap();

    assert_eq!((preflight.status().as_u16(), call.status().as_u16()), (204, 200));
    for response in [preflight, call] {
        let names = response.headers().keys();
        let allowing: Vec<_> = names
            .filter(|name| name.as_str().starts_with("access-control"))
            .collect();
        assert!(allowing.is_empty(), "{allowing:?}");
    }
}

#[tokio::test]
async fn a_preflight_says_what_the_contract_has_at_the_path() {
    let app = app(LISTED).await;

    // The call itself would need a token.
    let response = preflight(&app, "/v1/books/7", "https://app.example").await;

    assert_eq!(response.status(), 204);
    assert_eq!(header(&response, "access-control-allow-origin"), "https://app.example");
    assert_eq!(
        header(&response, "access-control-allow-methods"),
        "DELETE, GET, HEAD, OPTIONS, PATCH"
    );
    assert_eq!(
        header(&response, "access-control-allow-headers"),
        "authorization, x-own"
    );
    assert_eq!(header(&response, "access-control-allow-credentials"), "true");
    assert_eq!(header(&response, "access-control-max-age"), "60");
    assert!(varies_by_origin(&response));
    let own = preflight(&app, "/health/live", "https://app.example").await;
    assert_eq!(header(&own, "access-control-allow-methods"), "GET, HEAD, OPTIONS");
    assert_eq!(preflight(&app, "/nowhere", "https://app.example").await.status(), 404);
}

#[tokio::test]
async fn only_the_sites_of_the_settings_are_allowed() {
    let app = app(LISTED).await;

    for origin in [
        "https://evil.example",
        "https://app.example.evil",
        "http://app.example",
        "null",
    ] {
        let preflight = preflight(&app, "/v1/books/7", origin).await;
        let call = app.get("/v1/books").header("origin", origin).send().await.unwrap();
        for response in [preflight, call] {
            assert_eq!(header(&response, "access-control-allow-origin"), "", "{origin}");
            assert_eq!(header(&response, "access-control-allow-methods"), "", "{origin}");
            assert!(
                varies_by_origin(&response),
                "a cache must not give it to an allowed site: {origin}"
            );
        }
    }
}

#[tokio::test]
async fn a_script_may_see_errors_and_what_is_said_of_them() {
    let app = app(LISTED).await;

    let call = app.get("/v1/books/7").header("origin", "http://127.0.0.1:3000");
    let response = call.send().await.unwrap();

    assert_eq!(response.status(), 401);
    assert_eq!(
        header(&response, "access-control-allow-origin"),
        "http://127.0.0.1:3000"
    );
    assert_eq!(header(&response, "access-control-allow-credentials"), "true");
    assert_eq!(header(&response, "access-control-expose-headers"), "etag");
}

#[tokio::test]
async fn every_site_may_be_allowed_but_gets_no_credentials() {
    let app = app("[cors]\norigins = ['*']").await;

    let call = app.get("/v1/books").header("origin", "https://any.example");
    let response = call.send().await.unwrap();

    assert_eq!(header(&response, "access-control-allow-origin"), "*");
    assert_eq!(header(&response, "access-control-allow-credentials"), "");
    assert!(header(&response, "access-control-expose-headers").contains("ratelimit"));
    assert!(!varies_by_origin(&response), "it is the same for all");
}

#[tokio::test]
async fn preflights_are_counted_by_no_limit() {
    let app = app("[cors]\norigins = ['*']\n[limits.flood]\nquota = 1\nseconds = 3600\nburst = 1").await;

    for _ in 0..5 {
        let response = preflight(&app, "/v1/books/7", "https://app.example").await;
        assert_eq!(response.status(), 204);
        assert_eq!(header(&response, "ratelimit"), "");
    }
    assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 200);
    assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 429);
}

#[tokio::test]
async fn other_settings_count_at_once() {
    let app = App::start().await;
    let origin = "https://app.example";

    app.parts.change_settings(LISTED.parse().unwrap()).unwrap();

    let response = app.get("/v1/books").header("origin", origin).send().await.unwrap();
    assert_eq!(header(&response, "access-control-allow-origin"), origin);
}
