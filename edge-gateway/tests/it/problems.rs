//! Every error is a problem that says what to do about it.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::app::{App, problem};

#[tokio::test]
async fn every_code_of_grpc_has_its_status() {
    let app = App::start().await;
    let statuses = [
        499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
    ];

    for (code, status) in (1..=16).zip(statuses) {
        let response = app.get(&format!("/v1/fail/{code}")).send().await.unwrap();
        assert_eq!(response.status(), status, "code {code}");
        assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
        assert_eq!(response.headers().contains_key("retry-after"), status == 503);
        problem(response).await;
    }
}

#[tokio::test]
async fn details_of_the_service_reach_the_caller() {
    let app = App::start().await;

    let response = app.get("/v1/fail/8?reason=TOO_MANY_BOOKS").send().await.unwrap();

    assert_eq!(response.headers()["retry-after"], "3");
    let problem = problem(response).await;
    assert_eq!(problem["code"], "RESOURCE_EXHAUSTED");
    assert_eq!(problem["reason"], "TOO_MANY_BOOKS");
    assert_eq!(problem["domain"], "library");
    assert_eq!(problem["detail"], "failed as asked");
    assert_eq!(problem["instance"], "/v1/fail/8");
    assert_eq!(problem["metadata"], json!({"shelf": "A"}));
    assert_eq!(
        problem["errors"],
        json!([{"field": "deep.fieldName[2]", "description": "breaks the rule"}])
    );
}

#[tokio::test]
async fn what_failed_inside_is_told_only_as_the_service_tells_it() {
    let app = App::start().await;

    let without_reason = app.get("/v1/fail/2").send().await.unwrap();
    let with_reason = app.get("/v1/fail/2?reason=SHELF_COLLAPSED").send().await.unwrap();

    assert_eq!(problem(without_reason).await["detail"], "internal error");
    assert_eq!(problem(with_reason).await["detail"], "failed as asked");
}

#[tokio::test]
async fn words_that_no_service_has_given_a_reason_for_stay_inside() {
    let app = App::start().await;

    for code in 1..=16 {
        let response = app.get(&format!("/v1/fail/{code}")).send().await.unwrap();
        let problem = problem(response).await;
        assert_ne!(problem["detail"], "failed as asked", "{problem}");
        assert_ne!(problem["detail"], problem["title"], "{problem}");
    }
}

#[tokio::test]
async fn a_field_is_named_as_the_caller_sees_it() {
    let app = App::start().await;

    let response = app
        .user_request("POST", "/v1/books")
        .json(&json!({}))
        .send()
        .await
        .unwrap();

    let problem = problem(response).await;
    assert_eq!(problem["errors"][0]["field"], "pageCount");
}

#[tokio::test]
async fn a_body_that_cannot_be_read_names_field_and_rule() {
    let app = App::start().await;
    let field_of = async |body: &'static str| {
        let request = app
            .request("PATCH", "/v1/books/7")
            .header("content-type", "application/json")
            .body(body);
        let problem = problem(request.send().await.unwrap()).await;
        assert_eq!(
            (&problem["status"], &problem["code"]),
            (&json!(400), &json!("INVALID_ARGUMENT")),
            "{body}"
        );
        problem["errors"][0]["field"].as_str().unwrap().to_owned()
    };

    assert_eq!(field_of(r#"{"nope": 1}"#).await, "nope");
    assert_eq!(field_of(r#"{"title": 5}"#).await, "title");
    assert_eq!(field_of(r#"{"tags": ["a", 5]}"#).await, "tags[1]");
    assert_eq!(field_of("[]").await, "");
    assert_eq!(field_of("{\"title\": \"").await, "");
    assert_eq!(field_of("hello").await, "");
}

#[tokio::test]
async fn a_query_that_cannot_be_read_names_the_parameter() {
    let app = App::start().await;

    let unknown = problem(app.get("/v1/books?colour=red").send().await.unwrap()).await;
    assert_eq!(unknown["errors"][0]["field"], "colour");
    let wrong = problem(app.get("/v1/books?pageSize=many").send().await.unwrap()).await;
    assert_eq!(wrong["errors"][0]["field"], "pageSize");
    let taken = problem(app.request("DELETE", "/v1/books/7?id=8").send().await.unwrap()).await;
    assert_eq!(taken["errors"][0]["field"], "id");
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let app = App::start().await;

    for path in [
        "/v1/nothing",
        "/v1/books/",
        "/v1//books",
        "/v1/internal",
        "/v1/unsaid",
        "/library.v1.X/Y",
    ] {
        let problem = problem(app.get(path).send().await.unwrap()).await;
        assert_eq!(
            (&problem["status"], &problem["reason"]),
            (&json!(404), &json!("NO_SUCH_PATH")),
            "{path}"
        );
    }
    let response = app.request("PUT", "/v1/books/7").send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "DELETE, GET, HEAD, OPTIONS, PATCH");
    problem(response).await;
}

#[tokio::test]
async fn bodies_that_are_too_large_or_of_another_type() {
    let app = App::start().await;
    let large = json!({"title": "x".repeat(2000)}).to_string();

    let declared = app
        .user_request("POST", "/v1/books")
        .header("content-type", "application/json");
    let declared = problem(declared.body(large.clone()).send().await.unwrap()).await;
    assert_eq!(
        (&declared["status"], &declared["reason"]),
        (&json!(413), &json!("BODY_TOO_LARGE"))
    );

    let pieces = futures::stream::iter([Ok::<_, std::io::Error>(large)]);
    let counted = app
        .user_request("POST", "/v1/books")
        .body(reqwest::Body::wrap_stream(pieces));
    assert_eq!(counted.send().await.unwrap().status(), 413);

    for (name, value) in [("content-type", "text/plain"), ("content-encoding", "gzip")] {
        let request = app.user_request("POST", "/v1/books").header(name, value).body("{}");
        let problem = problem(request.send().await.unwrap()).await;
        assert_eq!(
            (&problem["status"], &problem["reason"]),
            (&json!(415), &json!("UNSUPPORTED_MEDIA_TYPE"))
        );
    }
}

#[tokio::test]
async fn heads_that_are_too_large() {
    let app = App::start().await;

    let uri = problem(
        app.get(&format!("/v1/books?query={}", "x".repeat(9000)))
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(uri["status"], 414);
    let headers = app
        .get("/v1/books")
        .header("x-large", "x".repeat(40_000))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(headers).await["status"], 431);
}

#[tokio::test]
async fn a_service_that_is_gone_is_503_with_a_time_to_try_again() {
    let app = App::start().await;
    assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 200);

    app.stop_service();
    let mut response = app.get("/v1/books").send().await.unwrap();
    // The first call may still be answered while the server drains.
    while response.status() == 200 {
        response = app.get("/v1/books").send().await.unwrap();
    }

    assert_eq!(response.headers()["retry-after"], "1");
    let problem = problem(response).await;
    assert_eq!(
        (&problem["status"], &problem["reason"]),
        (&json!(503), &json!("UPSTREAM_UNAVAILABLE"))
    );
    assert!(!problem["detail"].as_str().unwrap().contains("127.0.0.1"));
}

#[tokio::test]
async fn a_connection_survives_an_error() {
    let app = App::start().await;
    let mut socket = tokio::net::TcpStream::connect(app.address).await.unwrap();

    for _ in 0..2 {
        socket
            .write_all(b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = vec![0; 4096];
        let length = socket.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 404 "));
    }
}
