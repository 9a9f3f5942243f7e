//! Conditional requests.

use serde_json::json;

use crate::app::{App, problem};

#[tokio::test]
async fn an_unchanged_resource_is_304() {
    let app = App::start().await;
    let status = async |header: &str| {
        let response = app
            .user_request("GET", "/v1/books/7")
            .header("if-none-match", header)
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()["etag"], "\"v1\"");
        response.status().as_u16()
    };

    assert_eq!(status("\"v1\"").await, 304);
    assert_eq!(status("W/\"v1\"").await, 304);
    assert_eq!(status("\"v0\", \"v1\"").await, 304);
    assert_eq!(status("*").await, 304);
    assert_eq!(status("\"v0\"").await, 200);
    assert_eq!(status("v1").await, 200);
}

#[tokio::test]
async fn a_change_happens_only_while_the_condition_holds() {
    let app = App::start().await;
    let status = async |header: &str| {
        let request = app
            .request("PATCH", "/v1/books/7")
            .header("if-match", header)
            .json(&json!({"title": "T"}));
        request.send().await.unwrap().status().as_u16()
    };

    assert_eq!(status("\"v1\"").await, 200);
    assert_eq!(status("*").await, 200);
    assert_eq!(status("\"v0\", \"v1\"").await, 200);
    assert_eq!(status("\"v0\"").await, 412);
    assert_eq!(status("W/\"v1\"").await, 412);
    assert_eq!(status("v1").await, 400);
    assert_eq!(status("\"é\"").await, 412);
}

#[tokio::test]
async fn a_deletion_takes_a_condition_too() {
    let app = App::start().await;

    let right = app
        .request("DELETE", "/v1/books/7")
        .header("if-match", "\"v1\"")
        .send()
        .await
        .unwrap();
    assert_eq!(right.status(), 204);
    let wrong = app
        .request("DELETE", "/v1/books/7")
        .header("if-match", "\"v0\"")
        .send()
        .await
        .unwrap();
    let problem = problem(wrong).await;
    assert_eq!(
        (&problem["status"], &problem["reason"]),
        (&json!(412), &json!("ETAG_MISMATCH"))
    );
}

#[tokio::test]
async fn an_etag_in_the_body_that_does_not_fit_is_a_conflict() {
    let app = App::start().await;

    let body = json!({"title": "T", "etag": "v0"});
    let response = app.request("PATCH", "/v1/books/7").json(&body).send().await.unwrap();

    assert_eq!(response.status(), 409);
}

#[tokio::test]
async fn a_condition_that_nobody_would_check_is_refused() {
    let app = App::start().await;

    let response = app
        .request("POST", "/v1/books/7:lend")
        .header("if-match", "\"v1\"")
        .send()
        .await
        .unwrap();

    assert_eq!(problem(response).await["reason"], "CONDITION_NOT_SUPPORTED");
}
