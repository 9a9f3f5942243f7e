//! Second attempts beside a first that is late.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tonic::Status;

use super::{get, until};
use crate::unsteady::{Step, Unsteady, start};

#[tokio::test]
async fn a_late_call_gets_a_second_and_is_cancelled_when_that_is_answered() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, "").await;
    service.next([Step::Never]);

    assert_eq!(get(&app, "/v1/hedged").await.status(), 200);

    assert_eq!(service.calls(), 2);
    until("the end of the first call", async || {
        service.cancelled.load(Ordering::SeqCst) == 1
    })
    .await;
}

#[tokio::test]
async fn the_first_counts_when_the_second_fails() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, "").await;
    service.next([
        Step::Late(Duration::from_millis(500)),
        Step::Fail(Status::internal("broken")),
    ]);

    assert_eq!(get(&app, "/v1/hedged").await.status(), 200);

    assert_eq!(service.calls(), 2);
}

#[tokio::test]
async fn what_the_contract_does_not_ask_for_is_not_hedged() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, "").await;
    service.next([Step::Late(Duration::from_millis(200))]);

    assert_eq!(get(&app, "/v1/read").await.status(), 200);

    assert_eq!(service.calls(), 1);
}

#[tokio::test]
async fn hedging_counts_against_the_budget() {
    let service = Arc::new(Unsteady::default());
    let app = start(&service, "[retry]\nbudget_percent = 0\nbudget_per_second = 0.0\n").await;
    service.next([
        Step::Late(Duration::from_millis(200)),
        Step::Late(Duration::from_millis(200)),
    ]);
    assert_eq!(get(&app, "/v1/hedged").await.status(), 200);
    assert_eq!(service.calls(), 2, "one was saved up");
    service.next([Step::Late(Duration::from_millis(200))]);

    assert_eq!(get(&app, "/v1/hedged").await.status(), 200);

    assert_eq!(service.calls(), 3);
}
