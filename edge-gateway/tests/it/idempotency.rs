//! Creates that happen once: the header is the request's id.

use serde_json::{Value, json};

use crate::app::{App, problem};

async fn create(app: &App, path: &str, keys: &[&str]) -> reqwest::Response {
    let mut request = app.request("POST", path).json(&json!({"id": "7"}));
    for key in keys {
        request = request.header("idempotency-key", *key);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn the_header_fills_the_request_id() {
    let app = App::start().await;
    let title = async |path: &str, keys: &[&str]| {
        let created: Value = create(&app, path, keys).await.json().await.unwrap();
        created["title"].as_str().unwrap().to_owned()
    };

    assert_eq!(title("/v1/reviews", &["\"8e03978e\""]).await, "8e03978e");
    assert_eq!(title("/v1/reviews", &["8e03978e"]).await, "8e03978e");
    assert_eq!(title("/v1/reviews", &[]).await, "");
    assert_eq!(title("/v1/reviews?requestId=a", &[]).await, "a");
    assert_eq!(title("/v1/reviews?request_id=a", &["\"a\""]).await, "a");
}

#[tokio::test]
async fn an_upload_takes_it_too() {
    let app = App::start().await;

    let request = app
        .request("POST", "/v1/scans")
        .header("idempotency-key", "\"k 1\"")
        .body("x");
    let scan: Value = request.send().await.unwrap().json().await.unwrap();

    assert_eq!((&scan["requestId"], &scan["sizeBytes"]), (&json!("k 1"), &json!("1")));
}

#[tokio::test]
async fn a_key_that_cannot_be_read_or_kept_is_refused() {
    let app = App::start().await;
    let reason = async |path: &str, keys: &[&str]| {
        let response = create(&app, path, keys).await;
        assert_eq!(response.status(), 400, "{keys:?}");
        problem(response).await["reason"].as_str().unwrap().to_owned()
    };

    let long = "k".repeat(129);
    for keys in [&["\"a"][..], &["a b"], &["\"\""], &[long.as_str()], &["a", "a"]] {
        assert_eq!(reason("/v1/reviews", keys).await, "INVALID_IDEMPOTENCY_KEY");
    }
    assert_eq!(
        reason("/v1/reviews?requestId=b", &["a"]).await,
        "INVALID_IDEMPOTENCY_KEY"
    );
    assert_eq!(
        reason("/v1/books/7:lend", &["a"]).await,
        "IDEMPOTENCY_KEY_NOT_SUPPORTED"
    );
}

#[tokio::test]
async fn a_read_takes_no_notice_of_it() {
    let app = App::start().await;

    let request = app.get("/v1/books").header("idempotency-key", "\"not closed");

    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn another_request_under_the_key_is_422_and_one_still_running_409() {
    let app = App::start().await;
    let refused = async |reason: &str| problem(create(&app, "/v1/reviews", &[&format!("fails:{reason}")]).await).await;

    let reused = refused("IDEMPOTENCY_KEY_REUSED").await;
    let in_flight = refused("IDEMPOTENCY_KEY_IN_FLIGHT").await;

    assert_eq!(
        (&reused["status"], &reused["reason"]),
        (&json!(422), &json!("IDEMPOTENCY_KEY_REUSED"))
    );
    assert_eq!(
        (&in_flight["status"], &in_flight["reason"]),
        (&json!(409), &json!("IDEMPOTENCY_KEY_IN_FLIGHT"))
    );
}
