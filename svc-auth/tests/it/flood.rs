//! More log-ins than the cores can hash.

use std::time::{Duration, Instant};

use tonic::Code;
use tonic_types::StatusExt;

use crate::app::{EMAIL, PASSWORD, TestApp, reason};

#[tokio::test]
async fn checklist_15_1_3_a_flood_of_log_ins_is_turned_away_in_time_and_the_rest_is_served() {
    let app = TestApp::start_with(&[("AUTH_HASHING_CORES", "1")]).await;
    let started = Instant::now();

    let flood = (0..300).map(|number| {
        let (app, address, email) = (
            &app,
            format!("10.{}.{}.1", number / 256, number % 256),
            format!("ada{number}@example.com"),
        );
        async move { app.log_in_from(&address, &email, "whatever it may be", "").await }
    });
    let answers = futures::future::join_all(flood).await;

    let (busy, served): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .map(|answer| answer.unwrap_err())
        .partition(|status| status.code() == Code::Unavailable);
    assert!(!served.is_empty(), "somebody is served");
    assert!(busy.len() >= 300 - 65 - 40, "most are turned away, not {}", busy.len());
    for status in busy {
        let retry = status.get_details_retry_info().unwrap();
        assert_eq!(retry.retry_delay, Some(Duration::from_secs(1)));
        assert_eq!(
            status.metadata().get("grpc-retry-pushback-ms").unwrap(),
            "1000",
            "no breaker opens for it"
        );
        assert_eq!(reason::<()>(Err(status)), (Code::Unavailable, "AUTH_BUSY".to_owned()));
    }
    for status in served {
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[tokio::test]
async fn who_has_logged_in_before_gets_in_while_strangers_are_turned_away() {
    let app = TestApp::start_with(&[("AUTH_HASHING_CORES", "1")]).await;
    let device_token = app.ada().await.device_token;

    let flood = (0..300).map(|number| {
        let (app, address, email) = (
            &app,
            format!("10.1.{}.1", number % 256),
            format!("ada{number}@example.com"),
        );
        async move { app.log_in_from(&address, &email, "whatever it may be", "").await }
    });
    let owner = (0..5).map(|_| app.log_in_from("192.0.2.1", EMAIL, PASSWORD, &device_token));
    let (strangers, owner) = futures::join!(futures::future::join_all(flood), futures::future::join_all(owner));

    let busy =
        |answer: &Result<_, tonic::Status>| answer.as_ref().is_err_and(|status| status.code() == Code::Unavailable);
    assert!(strangers.iter().filter(|answer| busy(answer)).count() > 100);
    assert!(owner.iter().all(Result::is_ok), "{owner:?}");
}
