//! An edge on a port of its own, with the test service behind it.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use edge_gateway::{Edge, EdgeParts, Finding, Settings, Upstream};
use reqwest::{Method, RequestBuilder};
use service::metrics::Metrics;
use service::testing::TestIssuer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::library::{self, Seen};
use crate::server::{AnyService, Named};

/// How many calls the test service takes of one connection.
pub const MAX_STREAMS: u32 = 32;

pub struct App {
    pub address: SocketAddr,
    pub issuer: TestIssuer,
    pub seen: Arc<Seen>,
    pub stop: CancellationToken,
    pub edge: Option<JoinHandle<anyhow::Result<()>>>,
    /// For what is changed while it serves.
    pub parts: Arc<Edge>,
    pub metrics: Metrics,
    pub service_stop: CancellationToken,
    client: reqwest::Client,
    service: Option<JoinHandle<()>>,
}

/// What an edge of a test is made of.
pub struct Setup {
    pub package: &'static str,
    pub descriptor_set: Vec<u8>,
    /// Where the services of the package are, as the environment says it.
    pub address: String,
    pub settings: Settings,
    pub redis: Option<redis::ConnectionInfo>,
    pub finding: Finding,
}

impl Setup {
    /// The contract of the library, and whatever is at an address behind it.
    pub fn library(address: impl Into<String>) -> Self {
        Self {
            package: "library.v1",
            descriptor_set: compile(Path::new("library.proto")),
            address: address.into(),
            settings: Settings::default(),
            redis: None,
            finding: Finding::default(),
        }
    }
}

impl App {
    /// With the library behind it.
    pub async fn start() -> Self {
        Self::start_configured(Settings::default(), None).await
    }

    /// With the library behind it, an operator's settings, and the Redis of this address.
    pub async fn start_configured(settings: Settings, redis: Option<&str>) -> Self {
        let seen = Arc::new(Seen::default());
        let for_service = Arc::clone(&seen);
        let service = AnyService::new(move |rpc, request| {
            let seen = Arc::clone(&for_service);
            async move { library::call(seen, &rpc, request).await }
        });
        let routes = tonic::service::Routes::new(Named::<false>(service));
        let setup = Setup {
            settings,
            redis: redis.map(|url| url.parse().unwrap()),
            ..Setup::library("")
        };
        Self::start_with(setup, routes, seen).await
    }

    /// With these services behind it, wherever they come to be.
    pub async fn start_with(setup: Setup, routes: tonic::service::Routes, seen: Arc<Seen>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let mut app = Self::start_at(Setup { address, ..setup }).await;
        app.service = Some(serve_on(listener, routes, app.service_stop.clone()).await);
        app.seen = seen;
        app
    }

    /// With the contract of the library, and whatever is at an address behind it.
    pub async fn start_library_at(address: &str, finding: Finding, settings: &str) -> Self {
        let settings = settings.parse().unwrap();
        Self::start_at(Setup {
            finding,
            settings,
            ..Setup::library(address)
        })
        .await
    }

    /// With whatever listens at the address behind it.
    pub async fn start_at(setup: Setup) -> Self {
        let upstream = Upstream {
            package: setup.package.to_owned(),
            address: setup.address,
        };
        let issuer = TestIssuer::new();
        let stop = CancellationToken::new();
        let verifier = issuer.verifier("edge-gateway");
        let metrics = Metrics::new();
        let edge = Edge::compile(EdgeParts {
            descriptor_set: &setup.descriptor_set,
            upstreams: vec![upstream],
            finding: setup.finding,
            verifier,
            settings: setup.settings,
            redis: setup.redis,
            metrics: &metrics,
            stopping: stop.clone(),
        })
        .unwrap();
        let parts = Arc::new(edge);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let edge = tokio::spawn(edge_gateway::serve(
            Arc::clone(&parts),
            listener,
            NonZeroUsize::MIN,
            stop.clone(),
        ));
        Self {
            address,
            issuer,
            seen: Arc::default(),
            stop,
            edge: Some(edge),
            parts,
            metrics,
            service_stop: CancellationToken::new(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            service: None,
        }
    }

    /// A request without a token.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request("GET", path)
    }

    /// A request of some user.
    pub fn user_request(&self, method: &str, path: &str) -> RequestBuilder {
        self.request(method, path)
            .bearer_auth(self.issuer.access_token(Uuid::now_v7()))
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.encode();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no metric {name} in {text}"))
    }

    /// Hears of events from now on.
    pub async fn follow_events(&self, nats_url: String) {
        tokio::spawn(self.parts.follow_events(nats_url, self.stop.clone()));
        self.wait_for_figure("edge_cache_events_connected 1").await;
    }

    /// Waits for a line of the metrics.
    pub async fn wait_for_figure(&self, line: &str) {
        for _ in 0..2_000 {
            if self.metrics.encode().lines().any(|found| found.starts_with(line)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{line} is not in\n{}", self.metrics.encode());
    }

    pub fn stop_service(&self) {
        self.service_stop.cancel();
    }

    /// Stops it, and returns when it answers nobody any more.
    pub async fn end_service(&mut self) {
        self.stop_service();
        self.service.take().unwrap().await.unwrap();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.stop.cancel();
        self.service_stop.cancel();
    }
}

/// An encoded descriptor set of a contract under `tests/protos` or anywhere else.
pub fn compile(file: &Path) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let includes = [folder.join("tests/protos"), folder.join("../proto")];
    let own_folder = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map(Path::to_path_buf);
    let mut compiler = protox::Compiler::new(own_folder.into_iter().chain(includes)).unwrap();
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_file(file)
        .unwrap();
    compiler.encode_file_descriptor_set()
}

/// Serves on a port that is open already, until the token is cancelled.
pub async fn serve_on(
    listener: TcpListener,
    routes: tonic::service::Routes,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_service_status("", tonic_health::ServingStatus::Serving)
        .await;
    let server = tonic::transport::Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .add_routes(routes.add_service(health_service));
    let serving = server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled_owned());
    tokio::spawn(async move { serving.await.unwrap() })
}

/// A problem with everything that all of them have.
pub async fn problem(response: reqwest::Response) -> serde_json::Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let status = response.status().as_u16();
    let problem: serde_json::Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["requestId"], request_id);
    for member in ["type", "title", "detail", "instance", "code", "traceId"] {
        assert!(
            problem[member].as_str().is_some_and(|text| !text.is_empty()),
            "{member} in {problem}"
        );
    }
    problem
}
