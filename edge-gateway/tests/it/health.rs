//! Health, docs, and how the edge ends.

use serde_json::{Value, json};

use crate::app::{App, problem};

#[tokio::test]
async fn the_edge_is_ready_when_its_services_are() {
    let app = App::start().await;

    for path in ["/health/live", "/health/startup", "/health/ready"] {
        assert_eq!(app.get(path).send().await.unwrap().status(), 200, "{path}");
    }
    let ready: Value = app.get("/health/ready").send().await.unwrap().json().await.unwrap();
    assert_eq!(
        ready,
        json!({"status": "ready", "checks": [{"name": "library.v1", "ok": true}]})
    );
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
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
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
