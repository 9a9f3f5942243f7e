//! Second attempts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{get, metric, reason, unavailable};
use crate::app::App;
use crate::unsteady::{Fate, Step, Unsteady, listen, start, start_before};

async fn change(app: &App, method: &str, body: serde_json::Value) -> u16 {
    let response = app.request(method, "/v1/things").json(&body).send().await.unwrap();
    response.status().as_u16()
}

fn second_attempts(app: &App, kind: &str) -> f64 {
    metric(
        app,
        &format!("edge_second_attempts_total{{upstream=\"unsteady.v1\",kind=\"{kind}\"}}"),
    )
}

#[tokio::test]
async fn a_read_that_fails_once_is_answered_within_its_first_deadline() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, "").await;
    service.fail_next(1, &unavailable());

    assert_eq!(get(&app, "/v1/read").await.status(), 200);

    let timeouts = service.timeouts();
    let [Some(first), Some(second)] = timeouts[..] else {
        panic!("{timeouts:?}")
    };
    assert!(first <= 5_000.0 && second <= first - 25.0, "{first} then {second}");
    assert_eq!(second_attempts(&app, "retry"), 1.0);
}

#[tokio::test]
async fn there_are_never_more_than_two_attempts() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, "").await;
    service.fail_next(10, &unavailable());

    assert_eq!(get(&app, "/v1/read").await.status(), 503);

    assert_eq!(service.calls(), 2);
}

#[tokio::test]
async fn a_change_is_repeated_only_when_the_contract_or_a_request_id_allows_it() {
    for (method, body, status, calls) in [
        ("POST", json!({"name": "x"}), 503, 1),
        ("POST", json!({"name": "x", "requestId": "01a2"}), 200, 2),
        ("PUT", json!({"name": "x"}), 200, 2),
    ] {
        let service = Arc::new(Unsteady::default());
        let app = start(&service, "").await;
        service.fail_next(1, &unavailable());

        assert_eq!(change(&app, method, body.clone()).await, status, "{method} {body}");
        assert_eq!(service.calls(), calls, "{method} {body}");
    }
}

#[tokio::test]
async fn a_stream_that_has_not_begun_is_repeated() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, "").await;
    service.fail_next(1, &unavailable());

    let response = get(&app, "/v1/watch").await;

    assert_eq!(response.status(), 200);
    assert!(response.text().await.unwrap().starts_with("data: {\"name\":\"it\"}"));
    assert_eq!(service.timeouts(), [None, None], "a stream has no grpc-timeout");
}

#[tokio::test]
async fn a_service_that_asks_not_to_be_called_again_is_not() {
    let mut never = unavailable();
    never
        .metadata_mut()
        .insert("grpc-retry-pushback-ms", "-1".parse().unwrap());
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(Duration::from_secs(10)));
    let after_the_deadline = Status::with_error_details(Code::Unavailable, "later", details);
    let exhausted = Status::resource_exhausted("too much");
    for (status, http_status) in [(never, 503), (after_the_deadline, 503), (exhausted, 429)] {
        let service = Arc::new(Unsteady::default());
        let app = start(&service, "").await;
        service.fail_next(1, &status);

        assert_eq!(get(&app, "/v1/read").await.status(), http_status);
        assert_eq!(service.calls(), 1, "{status:?}");
    }
}

#[tokio::test]
async fn a_service_may_say_when_to_call_again() {
    let service = Arc::new(Unsteady::default());
    // Its own pause would end after the deadline.
    let app = start(&service, "[retry]\npause_min_ms = 60000\npause_max_ms = 60000\n").await;
    let mut soon = unavailable();
    soon.metadata_mut()
        .insert("grpc-retry-pushback-ms", "10".parse().unwrap());
    service.fail_next(1, &soon);

    assert_eq!(get(&app, "/v1/read").await.status(), 200);
}

#[tokio::test]
async fn no_attempt_begins_that_cannot_end_in_time() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, "[retry]\npause_min_ms = 60000\npause_max_ms = 60000\n").await;
    service.fail_next(1, &unavailable());

    assert_eq!(get(&app, "/v1/read").await.status(), 503);

    assert_eq!(service.calls(), 1);
    assert_eq!(second_attempts(&app, "retry"), 0.0, "it was waited for");
}

#[tokio::test]
async fn second_attempts_end_with_their_budget() {
    let service = Arc::new(Unsteady::default());
    let settings = "[breaker]\nenabled = false\n[retry]\nbudget_per_second = 0.0\npause_min_ms = 1\npause_max_ms = 1\n";
    let app = start(&service, settings).await;
    service.fail_next(100, &unavailable());

    for _ in 0..20 {
        assert_eq!(get(&app, "/v1/read").await.status(), 503);
    }

    // One that was saved up, and a fifth of the nineteen calls that came after.
    assert_eq!(service.calls(), 24);
    assert_eq!(
        (second_attempts(&app, "retry"), second_attempts(&app, "no_budget")),
        (4.0, 16.0)
    );
}

#[tokio::test]
async fn what_an_open_breaker_refuses_is_not_tried_again() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, "[breaker]\nminimum_calls = 1\nopen_ms = 60000\n").await;
    service.fail_next(10, &unavailable());

    // The first attempt opens the breaker, which then has no second.
    assert_eq!(get(&app, "/v1/read").await.status(), 503);
    assert_eq!(get(&app, "/v1/read").await.status(), 503);

    assert_eq!(service.calls(), 1);
}

#[tokio::test]
async fn a_call_that_was_never_worked_on_is_repeated_whatever_it_is() {
    for fate in [Fate::Refuse, Fate::GoAway] {
        let (address, calls) = listen(&[fate]).await;
        let app = start_before(address, "").await;

        assert_eq!(change(&app, "POST", json!({"name": "x"})).await, 200);

        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_during_a_call_is_only_safe_for_what_may_be_repeated() {
    for (method, status, expected_calls) in [("POST", 503, 1), ("PUT", 200, 2)] {
        let (address, calls) = listen(&[Fate::Close]).await;
        let app = start_before(address, "").await;

        assert_eq!(change(&app, method, json!({"name": "x"})).await, status, "{method}");

        assert_eq!(calls.load(Ordering::SeqCst), expected_calls, "{method}");
    }
}

#[tokio::test]
async fn what_a_second_attempt_does_not_find_the_first_may_have_removed() {
    let missing = Status::not_found("no such thing");
    for (first, method, path, expected) in [
        (unavailable(), "DELETE", "/v1/things/x", 204),
        // Nothing was removed before: it was never there.
        (missing.clone(), "DELETE", "/v1/things/x", 404),
        // Replacing removes nothing.
        (unavailable(), "PUT", "/v1/things", 404),
    ] {
        let service = Arc::new(Unsteady::default());
        let app = start(&service, "").await;
        service.next([Step::Fail(first.clone()), Step::Fail(missing.clone())]);

        let response = app.request(method, path).json(&json!({})).send().await.unwrap();

        assert_eq!(response.status(), expected, "{method} after {first:?}");
    }
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_is_tried_twice() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let app = start_before(nobody, "").await;

    let response = app.request("POST", "/v1/things").json(&json!({})).send().await.unwrap();

    assert_eq!(reason(response).await, "UPSTREAM_UNAVAILABLE");
    assert_eq!(second_attempts(&app, "retry"), 1.0);
}

#[tokio::test]
async fn a_connection_that_is_dead_without_a_word_is_left_for_another_before_the_next_deadline() {
    let (address, calls) = listen(&[Fate::Silence]).await;
    let app = start_before(address, "").await;
    let hasty = app.request("GET", "/v1/read").header("request-timeout", "0.6");
    assert_eq!(hasty.send().await.unwrap().status(), 504);

    assert_eq!(get(&app, "/v1/read").await.status(), 200);

    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn details_that_nobody_can_read_are_left_out() {
    let (address, _) = listen(&[Fate::Babble]).await;
    let app = start_before(address, "").await;

    assert_eq!(get(&app, "/v1/read").await.status(), 404);
    assert_eq!(get(&app, "/v1/read").await.status(), 200);
}
