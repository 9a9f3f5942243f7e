//! How a process stops.

use std::time::{Duration, Instant};

use bookmesh_proto::task::v1::WatchTaskRequest;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::sleep};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use uuid::Uuid;

use crate::app::{App, with_token};

#[tokio::test]
async fn a_call_that_has_begun_is_finished_and_no_new_connection_is_taken() {
    let app = App::start().await;
    app.ask("").await.unwrap();

    let stop = async {
        sleep(Duration::from_millis(200)).await;
        app.shutdown.cancel();
        sleep(Duration::from_millis(200)).await;
        let (code, body) = app.admin("/health/ready").await;
        assert_eq!((code, body.as_str()), (503, r#"{"status":"stopping"}"#));
        assert!(
            TcpStream::connect(app.address).await.is_err(),
            "a new connection was taken"
        );
    };
    let (answer, ()) = tokio::join!(app.ask("slow"), stop);

    answer.unwrap();
    app.stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn connections_are_taken_until_balancers_have_heard_that_it_stops() {
    let app = App::start_settling(Duration::from_millis(800), |_| {}).await;

    app.shutdown.cancel();
    sleep(Duration::from_millis(200)).await;

    assert_eq!(app.admin("/health/ready").await.0, 503);
    app.ask("").await.unwrap();
    app.stopped.await.unwrap().unwrap();
    assert!(
        TcpStream::connect(app.address).await.is_err(),
        "a new connection was taken"
    );
}

#[tokio::test]
async fn health_says_not_serving_before_the_last_call_ends() {
    let app = App::start().await;
    let mut health = HealthClient::new(app.channel.clone());
    let mut statuses = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(
        statuses.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );

    app.shutdown.cancel();

    assert_eq!(
        statuses.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
}

#[tokio::test]
async fn a_stream_that_waits_is_told_to_come_again() {
    let app = App::start().await;
    let token = app.issuer.access_token(Uuid::now_v7());
    let request = with_token(WatchTaskRequest::default(), &token);
    let mut stream = app.tasks().watch_task(request).await.unwrap().into_inner();
    stream.message().await.unwrap();

    let started = Instant::now();
    app.shutdown.cancel();

    assert_eq!(stream.message().await.unwrap_err().code(), Code::Unavailable);
    app.stopped.await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn peers_that_never_close_do_not_hold_the_process() {
    let app = App::start().await;
    let mut health = HealthClient::new(app.channel.clone());
    let mut watching = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watching.message().await.unwrap();
    let _says_nothing = TcpStream::connect(app.address).await.unwrap();
    let mut answers_nothing = TcpStream::connect(app.address).await.unwrap();
    let empty_settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &empty_settings].concat();
    answers_nothing.write_all(&hello).await.unwrap();
    app.ask("").await.unwrap();

    let started = Instant::now();
    app.shutdown.cancel();

    app.stopped.await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn tasks_are_waited_for() {
    let (finished, was_finished) = tokio::sync::oneshot::channel();
    let app = App::start_with(|service| {
        let shutdown = service.shutdown();
        service.spawn("worker", async move {
            shutdown.cancelled().await;
            sleep(Duration::from_millis(300)).await;
            finished.send(()).map_err(|()| anyhow::anyhow!("nobody waits"))
        });
    })
    .await;

    app.shutdown.cancel();

    app.stopped.await.unwrap().unwrap();
    was_finished.await.unwrap();
}

#[tokio::test]
async fn a_task_that_fails_panics_or_ends_early_ends_the_process_with_its_error() {
    let failing = App::start_with(|service| service.spawn("relay", async { anyhow::bail!("lost the stream") })).await;
    let panicking = App::start_with(|service| service.spawn("relay", async { panic!("as asked") })).await;
    let ending = App::start_with(|service| service.spawn("relay", async { Ok(()) })).await;

    for (app, expected) in [
        (failing, "task `relay` failed: lost the stream"),
        (panicking, "task `relay` failed: panicked"),
        (ending, "task `relay` ended early"),
    ] {
        let error = app.stopped.await.unwrap().unwrap_err();
        assert_eq!(format!("{error:#}"), expected);
        assert!(app.shutdown.is_cancelled());
    }
}
