//! Circuit breakers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use tokio::net::TcpListener;
use tonic::Status;

use super::{EAGER, broken, get, metric, reason, until};
use crate::app::App;
use crate::unsteady::{Fate, Step, Unsteady, listen, start, start_before, start_service};

fn state(app: &App, group: &str, state: &str) -> f64 {
    let labels = format!("upstream=\"unsteady.v1\",group=\"{group}\",state=\"{state}\"");
    metric(app, &format!("edge_breaker_state{{{labels}}}"))
}

#[tokio::test]
async fn a_service_that_fails_is_left_alone() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, EAGER).await;
    service.fail_next(5, &broken());
    for _ in 0..5 {
        assert_eq!(get(&app, "/v1/read").await.status(), 500);
    }

    let refused = get(&app, "/v1/read").await;

    assert_eq!(refused.status(), 503);
    let retry_after: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((45..=75).contains(&retry_after), "{retry_after}");
    assert_eq!(reason(refused).await, "UPSTREAM_UNAVAILABLE");
    assert_eq!(service.calls(), 5, "the refused call went through");
    assert_eq!((state(&app, "read", "open"), state(&app, "read", "closed")), (1.0, 0.0));
    let refusals = "edge_refused_calls_total{upstream=\"unsteady.v1\",group=\"read\",reason=\"breaker_open\"}";
    assert_eq!(metric(&app, refusals), 1.0);
}

#[tokio::test]
async fn a_service_that_turns_away_what_is_too_much_stays_open_to_the_rest() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, EAGER).await;
    let mut busy = Status::unavailable("too much at once");
    busy.metadata_mut()
        .insert("grpc-retry-pushback-ms", "60000".parse().unwrap());
    service.fail_next(20, &busy);

    for _ in 0..20 {
        assert_eq!(get(&app, "/v1/read").await.status(), 503);
    }

    assert_eq!(get(&app, "/v1/read").await.status(), 200);
    assert_eq!(service.calls(), 21);
}

#[tokio::test]
async fn the_end_of_a_connection_is_one_failure_however_many_calls_were_on_it() {
    let (address, calls) = listen(&[Fate::CloseUnder(5)]).await;
    let app = start_before(address, EAGER).await;

    let broken = join_all((0..5).map(|_| get(&app, "/v1/read"))).await;

    assert!(broken.iter().all(|response| response.status() == 503));
    assert_eq!(get(&app, "/v1/read").await.status(), 200);
    assert_eq!(calls.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn calls_that_waited_in_vain_are_a_failure_each_when_their_connection_is_given_up() {
    let (address, _) = listen(&[Fate::Silence; 2]).await;
    let app = start_before(address, EAGER).await;
    // Its end is what makes the connection suspect.
    let hasty = app.request("GET", "/v1/read").header("request-timeout", "0.6").send();

    let (hasty, waited) = tokio::join!(hasty, join_all((0..5).map(|_| get(&app, "/v1/read"))));

    assert_eq!(hasty.unwrap().status(), 504);
    assert!(waited.iter().all(|response| response.status() == 503));
    assert_eq!(state(&app, "read", "open"), 1.0);
}

#[tokio::test]
async fn other_groups_of_the_service_go_on() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, EAGER).await;
    service.fail_next(5, &broken());
    for _ in 0..5 {
        get(&app, "/v1/search").await;
    }

    assert_eq!(get(&app, "/v1/search").await.status(), 503);
    assert_eq!(get(&app, "/v1/read").await.status(), 200);
}

#[tokio::test]
async fn it_is_tried_again_and_then_trusted() {
    let service = Arc::new(Unsteady::default());
    let settings = "[breaker]\nminimum_calls = 5\nopen_ms = 200\nprobes = 2\n[retry]\nenabled = false\n";
    let app = start(&service, settings).await;
    service.fail_next(5, &broken());
    for _ in 0..5 {
        get(&app, "/v1/read").await;
    }
    assert_eq!(state(&app, "read", "closed"), 0.0);

    until("trust", async || get(&app, "/v1/read").await.status() == 200).await;
    assert_eq!(state(&app, "read", "half_open"), 1.0);
    assert_eq!(get(&app, "/v1/read").await.status(), 200);

    assert_eq!(state(&app, "read", "closed"), 1.0);
    for to in ["open", "half_open", "closed"] {
        let labels = format!("upstream=\"unsteady.v1\",group=\"read\",to=\"{to}\"");
        let transitions = metric(&app, &format!("edge_breaker_transitions_total{{{labels}}}"));
        assert_eq!(transitions, 1.0, "{to}");
    }
}

#[tokio::test]
async fn what_the_caller_does_wrong_is_no_failure_of_the_service() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, EAGER).await;
    for status in [
        Status::not_found("x"),
        Status::invalid_argument("x"),
        Status::aborted("x"),
        Status::permission_denied("x"),
        Status::resource_exhausted("x"),
    ] {
        service.fail_next(5, &status);
        for _ in 0..5 {
            get(&app, "/v1/read").await;
        }
    }

    assert_eq!(get(&app, "/v1/read").await.status(), 200);
    assert_eq!(service.calls(), 26);
}

#[tokio::test]
async fn callers_in_a_hurry_do_not_close_the_service_to_the_others() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, EAGER).await;
    service.next((0..6).map(|_| Step::Never));
    for _ in 0..6 {
        let hasty = app
            .get("/v1/read")
            .header("request-timeout", "0.05")
            .send()
            .await
            .unwrap();
        assert_eq!(hasty.status(), 504);
    }

    // A call that never got as far as the service has left its step behind.
    until("an answer", async || {
        app.get("/v1/read")
            .header("request-timeout", "0.5")
            .send()
            .await
            .unwrap()
            .status()
            == 200
    })
    .await;

    assert_eq!(state(&app, "read", "closed"), 1.0);
}

#[tokio::test]
async fn a_slow_service_is_left_alone() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, EAGER).await;
    service.next((0..5).map(|_| Step::Never));
    for _ in 0..5 {
        assert_eq!(get(&app, "/v1/hasty").await.status(), 504);
    }

    assert_eq!(reason(get(&app, "/v1/hasty").await).await, "UPSTREAM_UNAVAILABLE");
    assert_eq!(state(&app, "read", "open"), 1.0);
}

#[tokio::test]
async fn answers_that_come_late_count_before_they_come_too_late() {
    let service = Arc::new(Unsteady::default());
    let settings = "[breaker]\nminimum_calls = 3\nslow_timeout_percent = 1\nopen_ms = 60000\n";
    let app = start(&service, settings).await;
    service.next((0..3).map(|_| Step::Late(Duration::from_millis(60))));
    for _ in 0..3 {
        assert_eq!(get(&app, "/v1/read").await.status(), 200);
    }

    assert_eq!(get(&app, "/v1/read").await.status(), 503);
}

#[tokio::test]
async fn a_service_that_accepts_and_never_answers_is_left_alone() {
    let (address, _) = listen(&[Fate::Silence; 8]).await;
    let app = start_before(address, EAGER).await;
    for _ in 0..5 {
        assert_eq!(get(&app, "/v1/hasty").await.status(), 504);
    }

    assert_eq!(reason(get(&app, "/v1/hasty").await).await, "UPSTREAM_UNAVAILABLE");
    assert_eq!(state(&app, "read", "open"), 1.0);
}

#[tokio::test]
async fn a_service_that_resets_its_connections_is_left_alone() {
    let (address, calls) = listen(&[Fate::Close; 16]).await;
    let app = start_before(address, EAGER).await;

    until("an open breaker", async || {
        assert_eq!(reason(get(&app, "/v1/read").await).await, "UPSTREAM_UNAVAILABLE");
        state(&app, "read", "open") == 1.0
    })
    .await;

    let before = calls.load(std::sync::atomic::Ordering::SeqCst);
    assert!(before >= 5, "{before}");
    assert_eq!(get(&app, "/v1/read").await.status(), 503);
    assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), before);
}

#[tokio::test]
async fn a_service_that_was_killed_is_found_again() {
    let service = Arc::new(Unsteady::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let first_life = start_service(&service, listener).await;
    let settings = "[breaker]\nminimum_calls = 5\nopen_ms = 200\nprobes = 2\n[retry]\nenabled = false\n";
    let app = start_before(address, settings).await;
    assert_eq!(get(&app, "/v1/read").await.status(), 200);

    first_life.cancel();
    until("an open breaker", async || {
        get(&app, "/v1/read").await;
        state(&app, "read", "open") == 1.0
    })
    .await;
    let listener = TcpListener::bind(address).await.unwrap();
    let _second_life = start_service(&service, listener).await;

    until("a closed breaker", async || {
        get(&app, "/v1/read").await;
        state(&app, "read", "closed") == 1.0
    })
    .await;
    assert_eq!(get(&app, "/v1/read").await.status(), 200);
}

#[tokio::test]
async fn streams_and_uploads_are_refused_too() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, EAGER).await;
    service.fail_next(10, &broken());
    let upload = async || app.request("POST", "/v1/files").body("file").send().await.unwrap();
    for _ in 0..5 {
        assert_eq!(get(&app, "/v1/watch").await.status(), 500);
        assert_eq!(upload().await.status(), 500);
    }

    assert_eq!(reason(get(&app, "/v1/watch").await).await, "UPSTREAM_UNAVAILABLE");
    assert_eq!(reason(upload().await).await, "UPSTREAM_UNAVAILABLE");
    assert_eq!(service.calls(), 10);
}

#[tokio::test]
async fn a_breaker_can_be_switched_off() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, "[breaker]\nminimum_calls = 5\nenabled = false\n").await;
    service.fail_next(10, &broken());
    for _ in 0..10 {
        get(&app, "/v1/read").await;
    }

    assert_eq!(get(&app, "/v1/read").await.status(), 200);
}
