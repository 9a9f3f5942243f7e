//! Health, docs, and how the edge ends.

use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{App, problem};

#[tokio::test]
async fn the_edge_is_ready_when_its_services_are() {
    let app = App::start().await;

    for path in ["/health/live", "/health/startup", "/health/ready"] {
        assert_eq!(app.get(path).send().await.unwrap().status(), 200, "{path}");
    }
    let ready: Value = app.get("/health/ready").send().await.unwrap().json().await.unwrap();
    let checks = [("library.v1", true), ("access token keys", true)].map(|(name, ok)| json!({"name": name, "ok": ok}));
    assert_eq!(ready, json!({"status": "ready", "checks": checks}));
}

#[tokio::test]
async fn the_edge_is_not_ready_without_its_services() {
    let app = App::start().await;
    app.stop_service();

    let mut response = app.get("/health/ready").send().await.unwrap();
    for _ in 0..50 {
        if response.status() == 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        response = app.get("/health/ready").send().await.unwrap();
    }

    assert_eq!(response.status(), 503);
    let ready: Value = response.json().await.unwrap();
    assert_eq!(ready["checks"][0]["ok"], false);
    assert_eq!(app.get("/health/live").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn own_paths_are_for_reading() {
    let app = App::start().await;

    let response = app.request("POST", "/health/live").send().await.unwrap();

    assert_eq!(response.headers()["allow"], "GET, HEAD, OPTIONS");
    assert_eq!(problem(response).await["status"], 405);
}

#[tokio::test]
async fn the_documentation_needs_nothing_from_elsewhere() {
    let app = App::start().await;

    let page = app.get("/docs").send().await.unwrap().text().await.unwrap();

    assert!(page.contains("/openapi.json"));
    assert!(!page.contains("http://") && !page.contains("https://"));
}

#[tokio::test]
async fn a_stop_finishes_what_has_begun_and_does_not_wait_for_idle_connections() {
    let mut app = App::start().await;
    assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 200);
    let begun = tokio::spawn(app.get("/v1/sleep").send());
    tokio::time::sleep(Duration::from_millis(100)).await;

    app.stop.cancel();

    assert_eq!(begun.await.unwrap().unwrap().status(), 504);
    let stopped = tokio::time::timeout(Duration::from_secs(5), app.edge.take().unwrap()).await;
    stopped.expect("the edge waits for somebody").unwrap().unwrap();
}
