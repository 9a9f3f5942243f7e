//! What goes in, and what comes out when all is well.

use serde_json::{Value, json};

use crate::app::{App, problem};

#[tokio::test]
async fn a_read_answers_json_with_every_field() {
    let app = App::start().await;

    let response = app.user_request("GET", "/v1/books/a%20b").send().await.unwrap();

    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["etag"], "\"v1\"");
    assert_eq!(response.headers()["cache-control"], "private, no-cache");
    let book: Value = response.json().await.unwrap();
    assert_eq!(
        book,
        json!({"id": "a b", "title": "Dune", "etag": "v1", "pageCount": "412", "tags": ["a"]})
    );
}

#[tokio::test]
async fn a_creation_is_201_and_says_where_it_is() {
    let app = App::start().await;

    let body = json!({"title": "T"});
    let response = app.user_request("POST", "/v1/books").json(&body).send().await.unwrap();

    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["location"], "/v1/books/id%201");
    let book: Value = response.json().await.unwrap();
    assert_eq!(
        book,
        json!({"id": "id 1", "title": "T", "etag": "", "pageCount": "0", "tags": []})
    );
}

#[tokio::test]
async fn work_that_goes_on_is_202_and_says_where_it_is() {
    let app = App::start().await;

    let response = app
        .request("POST", "/v1/reports")
        .json(&json!({"id": "r1"}))
        .send()
        .await
        .unwrap();

    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["location"], "/v1/reports/r1");
}

#[tokio::test]
async fn a_deletion_is_204_without_a_body() {
    let app = App::start().await;

    let response = app.request("DELETE", "/v1/books/7").send().await.unwrap();

    assert_eq!(response.status(), 204);
    assert!(response.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn parameters_are_taken_in_both_spellings_and_the_next_page_is_linked() {
    let app = App::start().await;

    let response = app
        .get("/v1/books?query=rust+async&page_size=3&tags=a&tags=b&pageToken=x")
        .send()
        .await
        .unwrap();

    let link = "</v1/books?query=rust+async&page_size=3&tags=a&tags=b&page_token=a%2Fb>; rel=\"next\"";
    assert_eq!(response.headers()["link"], link);
    let list: Value = response.json().await.unwrap();
    assert_eq!(list["books"][0]["title"], "rust async 3 a+b");
    assert_eq!(list["nextPageToken"], "a/b");

    let last = app.get("/v1/books?pageToken=last").send().await.unwrap();
    assert!(!last.headers().contains_key("link"));
}

#[tokio::test]
async fn an_update_without_a_mask_changes_what_its_body_has() {
    let app = App::start().await;
    let patch = async |query: &str, body: Value| {
        let response = app
            .request("PATCH", &format!("/v1/books/7{query}"))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        app.seen.mask.lock().unwrap().clone()
    };

    let read_before = json!({"id": "x", "etag": "v1", "pageCount": 5, "title": "T"});
    assert_eq!(patch("", read_before).await.unwrap(), ["page_count", "title"]);
    assert_eq!(patch("", json!({"page_count": "5"})).await.unwrap(), ["page_count"]);
    assert_eq!(
        patch("?updateMask=title,pageCount", json!({"title": "T"}))
            .await
            .unwrap(),
        ["title", "page_count"]
    );
    assert_eq!(patch("", json!({})).await, None);
}

#[tokio::test]
async fn the_path_decides_over_the_body() {
    let app = App::start().await;

    let body = json!({"id": "8", "title": "T"});
    let response = app.request("PATCH", "/v1/books/7").json(&body).send().await.unwrap();

    let book: Value = response.json().await.unwrap();
    assert_eq!(book["id"], "7");
}

#[tokio::test]
async fn a_call_without_a_body_where_one_may_be_is_fine() {
    let app = App::start().await;

    let response = app.request("POST", "/v1/books/7:lend").send().await.unwrap();

    assert_eq!(response.status(), 200);
    let book: Value = response.json().await.unwrap();
    assert_eq!(book["id"], "7");
}

#[tokio::test]
async fn a_raw_answer_is_written_as_it_is() {
    let app = App::start().await;

    let response = app.get("/v1/scans/7").send().await.unwrap();

    assert_eq!(response.headers()["content-type"], "image/png");
    assert_eq!(response.bytes().await.unwrap().as_ref(), b"\x89PNG");
}

#[tokio::test]
async fn head_is_get_without_its_body_and_options_names_the_methods() {
    let app = App::start().await;

    let head = app.user_request("HEAD", "/v1/books/7").send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), head.headers()["etag"].to_str().unwrap()),
        (200, "\"v1\"")
    );
    assert!(head.bytes().await.unwrap().is_empty());

    let options = app.request("OPTIONS", "/v1/books/7").send().await.unwrap();
    assert_eq!(options.status(), 204);
    assert_eq!(options.headers()["allow"], "DELETE, GET, HEAD, OPTIONS, PATCH");
}

#[tokio::test]
async fn checklist_4_1_3_services_get_who_asks_and_nothing_else_of_the_headers() {
    let app = App::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    let request = app.user_request("GET", "/v1/metadata");
    let request = request
        .header("x-request-id", "mine")
        .header("traceparent", trace)
        .header("user-agent", "Test/1");
    let response = request
        .header("cookie", "secret")
        .header("x-other", "1")
        .send()
        .await
        .unwrap();

    assert_eq!(response.headers()["x-request-id"], "mine");
    let answered_trace = response.headers()["traceparent"].to_str().unwrap().to_owned();
    assert!(
        answered_trace.contains("4bf92f3577b34da6a3ce929d0e0e4736"),
        "{answered_trace}"
    );
    let metadata: Value = response.json().await.unwrap();
    let values = &metadata["values"];
    assert_eq!(values["x-request-id"], "mine");
    assert_eq!(values["x-user-agent"], "Test/1");
    assert_eq!(values["x-client-address"], "127.0.0.1");
    assert!(
        values["traceparent"]
            .as_str()
            .unwrap()
            .contains("4bf92f3577b34da6a3ce929d0e0e4736")
    );
    assert!(values["grpc-timeout"].is_string());
    for name in ["cookie", "x-other", "authorization"] {
        assert!(values[name].is_null(), "{name} went through");
    }
}

#[tokio::test]
async fn headers_that_are_too_long_for_services_do_not_fail_the_call() {
    let app = App::start().await;
    let long = "x".repeat(12_000);

    let request = app.request("GET", "/v1/metadata").header("user-agent", &long);
    let response = request.header("tracestate", format!("a={long}")).send().await.unwrap();

    let metadata: Value = response.json().await.unwrap();
    let values = &metadata["values"];
    assert_eq!(values["x-user-agent"].as_str().unwrap().len(), 512);
    assert!(values["tracestate"].is_null());
}

#[tokio::test]
async fn a_request_id_that_cannot_be_logged_is_replaced() {
    let app = App::start().await;

    for id in ["a b".to_owned(), "x".repeat(129), String::new()] {
        let response = app.get("/v1/books").header("x-request-id", &id).send().await.unwrap();

        let answered = response.headers()["x-request-id"].to_str().unwrap();
        assert_eq!(answered.parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    }
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_which_the_caller_may_shorten() {
    let app = App::start().await;

    let by_policy = problem(app.get("/v1/sleep").send().await.unwrap()).await;
    assert_eq!(
        (&by_policy["status"], &by_policy["code"]),
        (&json!(504), &json!("DEADLINE_EXCEEDED"))
    );

    let started = std::time::Instant::now();
    let by_caller = app
        .get("/v1/sleep")
        .header("request-timeout", "0.05")
        .send()
        .await
        .unwrap();
    assert_eq!(by_caller.status(), 504);
    assert!(started.elapsed().as_millis() < 250);

    let nonsense = problem(
        app.get("/v1/sleep")
            .header("request-timeout", "soon")
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(nonsense["reason"], "INVALID_REQUEST_TIMEOUT");
}
