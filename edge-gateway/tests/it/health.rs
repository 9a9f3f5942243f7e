//! Health, docs, and how the edge ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic_health::pb::HealthCheckResponse;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::app::{App, Setup, problem};
use crate::server::{AnyService, Named, one};

#[tokio::test]
async fn the_edge_is_ready_when_its_services_are() {
    let app = App::start().await;

    for path in ["/health/live", "/health/startup", "/health/ready"] {
        assert_eq!(app.get(path).send().await.unwrap().status(), 200, "{path}");
    }
    let ready: Value = app.get("/health/ready").send().await.unwrap().json().await.unwrap();
    let checks = [("library.v1", true), ("access token keys", true)].map(|(name, ok)| json!({"name": name, "ok": ok}));
    assert_eq!(ready, json!({"status": "ready", "checks": checks}));
}

#[tokio::test]
async fn the_edge_is_not_ready_without_its_services() {
    let app = App::start().await;
    app.stop_service();

    let mut response = app.get("/health/ready").send().await.unwrap();
    for _ in 0..50 {
        if response.status() == 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        response = app.get("/health/ready").send().await.unwrap();
    }

    assert_eq!(response.status(), 503);
    let ready: Value = response.json().await.unwrap();
    assert_eq!(ready["checks"][0]["ok"], false);
    assert_eq!(app.get("/health/live").send().await.unwrap().status(), 200);
}

/// A service of which nothing is known but its health, and that tells nobody of it before there is a permit.
#[derive(Clone)]
struct GatedHealth(Named<false>);

impl NamedService for GatedHealth {
    const NAME: &'static str = "grpc.health.v1.Health";
}

impl tower::Service<http::Request<Body>> for GatedHealth {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}

#[tokio::test]
async fn many_who_ask_at_once_are_one_question_to_the_services() {
    let (gate, asked) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (its_gate, counter) = (Arc::clone(&gate), Arc::clone(&asked));
    let health = AnyService::new(move |_rpc, _request| {
        let (gate, counter) = (Arc::clone(&its_gate), Arc::clone(&counter));
        async move {
            counter.fetch_add(1, Ordering::SeqCst);
            let _permit = gate.acquire().await.unwrap();
            let status = ServingStatus::Serving.into();
            Ok(one(&HealthCheckResponse { status }))
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder().add_service(GatedHealth(Named(health)));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let app = App::start_at(Setup::library(address)).await;

    let mut callers = Vec::new();
    for _ in 0..40 {
        let mut caller = TcpStream::connect(app.address).await.unwrap();
        let request = b"GET /health/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        caller.write_all(request).await.unwrap();
        callers.push(caller);
    }
    app.wait_for_figure("edge_connections 40").await;
    gate.add_permits(40);
    for caller in &mut callers {
        let mut answer = String::new();
        caller.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("library.v1"), "{answer}");
    }

    // On a machine that is very busy some come only after a second, and are another question.
    let asked = asked.load(Ordering::SeqCst);
    assert!(asked <= 4, "asked {asked} times");
}

#[tokio::test]
async fn own_paths_are_for_reading() {
    let app = App::start().await;

    let response = app.request("POST", "/health/live").send().await.unwrap();

    assert_eq!(response.headers()["allow"], "GET, HEAD, OPTIONS");
    assert_eq!(problem(response).await["status"], 405);
}

#[tokio::test]
async fn the_documentation_needs_nothing_from_elsewhere() {
    let app = App::start().await;

    let page = app.get("/docs").send().await.unwrap().text().await.unwrap();

    assert!(page.contains("/openapi.json"));
    assert!(!page.contains("http://") && !page.contains("https://"));
}

#[tokio::test]
async fn a_stop_finishes_what_has_begun_and_does_not_wait_for_idle_connections() {
    let mut app = App::start().await;
    assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 200);
    let begun = tokio::spawn(app.get("/v1/sleep").send());
    tokio::time::sleep(Duration::from_millis(100)).await;

    app.stop.cancel();

    assert_eq!(begun.await.unwrap().unwrap().status(), 504);
    let stopped = tokio::time::timeout(Duration::from_secs(5), app.edge.take().unwrap()).await;
    stopped.expect("the edge waits for somebody").unwrap().unwrap();
}
