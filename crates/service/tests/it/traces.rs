//! One request followed: from the caller's trace parent into log lines, and out to a collector.

use std::{
    io::{BufRead, BufReader},
    sync::Arc,
    time::Duration,
};

use bookmesh_proto::enrich::v1::enrichment_service_client::EnrichmentServiceClient;
use serde_json::Value;
use service::testing::TestIssuer;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, server::TcpIncoming};
use uuid::Uuid;

use crate::{
    app::{ask, with_token},
    processes::{Running, configured},
    refresh::FakeAuth,
};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The smallest service as a process that trusts `issuer` through a svc-auth of the test.
struct Traced {
    running: Running,
    client: EnrichmentServiceClient<Channel>,
    issuer: TestIssuer,
    _folder: TempDir,
    _auth: tokio_util::sync::DropGuard,
}

impl Traced {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let (issuer, auth, shutdown) = (TestIssuer::new(), FakeAuth::default(), CancellationToken::new());
        auth.publish(&issuer);
        let auth_address = auth.start(&issuer, shutdown.clone()).await;
        let folder = TempDir::new().unwrap();
        let address = format!("127.0.0.1:{}", devstack::free_port());
        let child = configured(&folder, &issuer)
            .env("SMALLEST_LISTEN", &address)
            .env("BOOKMESH_AUTH_ADDRESS", auth_address)
            .envs(variables.iter().copied())
            .spawn();
        Self {
            running: Running(child.unwrap()),
            client: EnrichmentServiceClient::new(service::client::channel(&format!("http://{address}")).unwrap()),
            issuer,
            _folder: folder,
            _auth: shutdown.drop_guard(),
        }
    }

    async fn call(&mut self, traceparent: Option<&str>) {
        let token = self.issuer.access_token(Uuid::now_v7());
        for _ in 0..100 {
            let mut request = with_token(ask("7"), &token);
            if let Some(traceparent) = traceparent {
                request
                    .metadata_mut()
                    .insert("traceparent", traceparent.parse().unwrap());
            }
            if self.client.get_enrichment(request).await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the process does not answer");
    }

    /// Ends the process and answers the line that the handler wrote.
    fn line_of_the_handler(mut self) -> Value {
        let log = BufReader::new(self.running.0.stderr.take().unwrap());
        crate::processes::terminate(&self.running.0);
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        lines.filter(|line| line["message"] == "asked").last().unwrap()
    }
}

#[tokio::test]
async fn a_log_line_carries_the_callers_trace_and_the_rpc() {
    let mut traced = Traced::start(&[]).await;

    traced.call(Some(PARENT)).await;

    let line = traced.line_of_the_handler();
    assert_eq!(line["trace_id"], TRACE_ID, "{line}");
    assert_ne!(line["span_id"], "00f067aa0ba902b7", "{line}");
    assert_eq!(line["span_id"].as_str().unwrap().len(), 16, "{line}");
    assert_eq!(line["rpc.method"], "GetEnrichment", "{line}");
    assert!(Uuid::try_parse(line["owner.id"].as_str().unwrap()).is_ok(), "{line}");
}

#[tokio::test]
async fn without_a_parent_or_with_a_broken_one_a_trace_begins_here() {
    for traceparent in [None, Some("00-short-and-wrong-01")] {
        let mut traced = Traced::start(&[]).await;

        traced.call(traceparent).await;

        let line = traced.line_of_the_handler();
        let trace_id = line["trace_id"].as_str().unwrap();
        assert!(
            trace_id.len() == 32 && trace_id.contains(|digit| digit != '0'),
            "{line}"
        );
    }
}

#[tokio::test]
async fn spans_reach_the_collector_before_the_process_ends() {
    let collector = Collector::start().await;
    let mut traced = Traced::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address)]).await;
    traced.call(Some(PARENT)).await;

    crate::processes::terminate(&traced.running.0);

    tokio::time::timeout(Duration::from_secs(10), collector.seen.notified())
        .await
        .unwrap();
    let output = tokio::task::spawn_blocking(move || traced.running.into_output());
    let (code, log) = output.await.unwrap();
    assert_eq!(code, Some(0), "{log}");
}

/// An OTLP collector that only notices whether the trace of [`PARENT`] comes by.
struct Collector {
    address: String,
    seen: Arc<Notify>,
}

impl Collector {
    async fn start() -> Self {
        let seen = Arc::new(Notify::new());
        let notice = Arc::clone(&seen);
        let router = axum::Router::new().fallback(async move |body: axum::body::Bytes| {
            let trace_id = u128::from_str_radix(TRACE_ID, 16).unwrap().to_be_bytes();
            let name = b"bookmesh.enrich.v1.EnrichmentService/GetEnrichment";
            if contains(&body, &trace_id) && contains(&body, name) {
                notice.notify_one();
            }
            ([("content-type", "application/grpc"), ("grpc-status", "0")], "")
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder()
            .add_routes(tonic::service::Routes::from(router))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(server);
        Self { address, seen }
    }
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}
