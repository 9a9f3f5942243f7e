//! What happens to a call that is slow, panics, or comes with a trace.

use std::time::{Duration, Instant};

use bookmesh_proto::{
    enrich::v1::enrichment_service_client::EnrichmentServiceClient,
    task::v1::{Task, WatchTaskRequest},
};
use hyper_util::rt::TokioExecutor;
use service::status;
use tonic::{Code, Request, Status, Streaming};
use uuid::Uuid;

use crate::app::{App, ask, with_token};

async fn watch(app: &App, what: &str) -> Streaming<Task> {
    let token = app.issuer.access_token(Uuid::now_v7());
    let request = with_token(WatchTaskRequest { id: what.to_owned() }, &token);
    app.tasks().watch_task(request).await.unwrap().into_inner()
}

fn authorized<T>(app: &App, message: T) -> Request<T> {
    with_token(message, &app.issuer.access_token(Uuid::now_v7()))
}

fn refusal(status: &Status) -> (Code, String) {
    (status.code(), status::reason(status).unwrap_or_default())
}

#[tokio::test]
async fn a_call_ends_at_the_callers_deadline() {
    let app = App::start().await;
    let mut request = authorized(&app, ask("never"));
    request.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    // Tonic's own channel would keep the deadline too, and might be the first to say so.
    let plain = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let origin = format!("http://{}", app.address).parse().unwrap();

    let started = Instant::now();
    let status = EnrichmentServiceClient::with_origin(plain, origin)
        .get_enrichment(request)
        .await
        .unwrap_err();

    assert_eq!(refusal(&status), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".into()));
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_call_never_takes_longer_than_its_policy_allows() {
    let app = App::start().await;
    let mut request = authorized(&app, ask("never"));
    request.metadata_mut().insert("grpc-timeout", "1H".parse().unwrap());

    let started = Instant::now();
    let status = app.user().get_enrichment(request).await.unwrap_err();

    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!((4..7).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_stream_must_begin_in_time_but_may_go_on() {
    let app = App::start().await;
    let mut silent = authorized(
        &app,
        WatchTaskRequest {
            id: "silent".to_owned(),
        },
    );
    silent.metadata_mut().insert("grpc-timeout", "200m".parse().unwrap());
    let mut talking = authorized(&app, WatchTaskRequest::default());
    talking.metadata_mut().insert("grpc-timeout", "200m".parse().unwrap());

    let mut silent = app.tasks().watch_task(silent).await.unwrap().into_inner();
    let mut talking = app.tasks().watch_task(talking).await.unwrap().into_inner();

    assert_eq!(silent.message().await.unwrap_err().code(), Code::DeadlineExceeded);
    assert!(talking.message().await.unwrap().is_some());
    let waiting = tokio::time::timeout(Duration::from_millis(400), talking.message()).await;
    assert!(waiting.is_err(), "the stream ended: {waiting:?}");
}

#[tokio::test]
async fn a_panic_is_internal_and_the_connection_goes_on() {
    let app = App::start().await;

    let status = app.ask("panic").await.unwrap_err();

    assert_eq!(refusal(&status), (Code::Internal, "INTERNAL".into()));
    assert_eq!(status.message(), "internal error");
    app.ask("").await.unwrap();
}

#[tokio::test]
async fn a_panic_in_a_stream_ends_that_stream_alone() {
    let app = App::start().await;
    let mut bystander = watch(&app, "").await;
    bystander.message().await.unwrap();

    let mut stream = watch(&app, "panic").await;
    let mut last = stream.message().await;
    while let Ok(Some(_)) = last {
        last = stream.message().await;
    }

    assert_eq!(last.unwrap_err().code(), Code::Internal);
    let waiting = tokio::time::timeout(Duration::from_millis(200), bystander.message()).await;
    assert!(waiting.is_err(), "the neighbour ended: {waiting:?}");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let app = App::start().await;
    let message = ask(&"x".repeat(5 * 1024 * 1024));

    let status = app.user().get_enrichment(authorized(&app, message)).await.unwrap_err();

    assert_eq!(status.code(), Code::OutOfRange);
}
