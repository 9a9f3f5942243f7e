//! The gRPC server stack: around every call its span, figures, deadline, and the policy of who may call.

mod authorize;
mod body;
mod deadline;
mod figures;
mod stream;

use std::{
    collections::HashMap,
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Context as _;
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, body::Body, transport::server::TcpIncoming};
use tonic_health::{
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field::Empty};

use self::{body::ObservedBody, deadline::Deadline, figures::Figures, stream::StreamEnd};
use crate::{identity::Verifier, metrics::Metrics, policy, routes::Routes, status, trace};

const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Of one connection: each worker of the edge has one for calls and one for streams, and sends no more than 1,000 at once on either.
const MAX_CONCURRENT_STREAMS: u32 = 1024;
/// Room for a token of 8 KiB, and as much again.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// How long peers have, after the last answer, to take what is on its way and to close.
const FAREWELL: Duration = Duration::from_secs(1);
/// Open to all who reach the port: which services are here, and whether they are well.
const OPEN_SERVICES: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Everything that is needed to answer calls.
pub(crate) struct Server {
    methods: HashMap<String, Arc<Rpc>>,
    figures: Figures,
    verifier: Verifier,
    routes: tonic::service::Routes,
}

impl Server {
    pub(crate) fn new(
        metrics: &Metrics,
        health: HealthReporter,
        verifier: Verifier,
        routes: Routes,
    ) -> anyhow::Result<Self> {
        let all_figures = Figures::new(metrics);
        let mut methods = HashMap::new();
        for (path, method) in policy::methods(bookmesh_proto::FILE_DESCRIPTOR_SET)? {
            let figures = all_figures.of(&method);
            methods.insert(path, Arc::new(Rpc { method, figures }));
        }
        let health = HealthServer::new(HealthService::from_health_reporter(health));
        let routes = with_reflection(routes)?.add_service(health);
        Ok(Self {
            methods,
            figures: all_figures,
            verifier,
            routes,
        })
    }

    /// Answers calls until `drain` is cancelled and what was begun is finished.
    pub(crate) async fn run(self, listener: TcpListener, drain: CancellationToken) -> anyhow::Result<()> {
        let stack = Stack(Arc::new(Shared {
            methods: self.methods,
            verifier: self.verifier,
            drain: drain.clone(),
        }));
        let all_answered = all_answered(drain.clone(), self.figures);
        let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
        let serve = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .layer(stack)
            .add_routes(self.routes)
            .serve_with_incoming_shutdown(connections, drain.cancelled_owned());
        tokio::select! {
            served = serve => served.context("serving gRPC"),
            () = all_answered => {
                tracing::info!("connections are cut whose peers do not let go of them");
                Ok(())
            }
        }
    }
}

/// Returns once the server drains and has had no call for a while. A graceful end of HTTP/2 waits for the peer, and one
/// that is silent, or watches our health, would hold the process for as long as it likes.
async fn all_answered(drain: CancellationToken, figures: Figures) {
    drain.cancelled().await;
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < FAREWELL {
        sleep(FAREWELL / 10).await;
        if figures.in_flight() > 0 {
            quiet_since = Instant::now();
        }
    }
}

/// Reflection lists the services that are really here; their messages come from the contract as a whole.
fn with_reflection(routes: Routes) -> anyhow::Result<tonic::service::Routes> {
    let builder = || {
        let described = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(bookmesh_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
            .include_reflection_service(false);
        let names = routes.names.iter().copied().chain(OPEN_SERVICES);
        names.fold(described, |builder, name| builder.with_service_name(name))
    };
    let v1 = builder().build_v1().context("building reflection v1")?;
    let v1alpha = builder().build_v1alpha().context("building reflection v1alpha")?;
    Ok(routes.inner.add_service(v1).add_service(v1alpha))
}

/// The layer around the routes.
#[derive(Clone)]
struct Stack(Arc<Shared>);

struct Shared {
    methods: HashMap<String, Arc<Rpc>>,
    verifier: Verifier,
    drain: CancellationToken,
}

/// One RPC of the contract.
struct Rpc {
    method: policy::Method,
    figures: Arc<figures::Rpc>,
}

impl<S> Layer<S> for Stack {
    type Service = Guarded<S>;

    fn layer(&self, routes: S) -> Guarded<S> {
        let shared = Arc::clone(&self.0);
        Guarded { routes, shared }
    }
}

#[derive(Clone)]
struct Guarded<S> {
    routes: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.routes.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        if let Some(rpc) = self.shared.methods.get(path) {
            // The clone is for the next call: this one goes to the routes that have said they are ready.
            let next = self.routes.clone();
            let routes = std::mem::replace(&mut self.routes, next);
            return Box::pin(answer(Arc::clone(&self.shared), Arc::clone(rpc), request, routes).map(Ok));
        }
        if is_open(path) {
            return Box::pin(self.routes.call(request));
        }
        let unknown = Status::unimplemented("no such method").into_http();
        Box::pin(std::future::ready(Ok(unknown)))
    }
}

fn is_open(path: &str) -> bool {
    let service = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    service.is_some_and(|(service, _)| OPEN_SERVICES.contains(&service))
}

async fn answer<S>(shared: Arc<Shared>, rpc: Arc<Rpc>, request: Request<Body>, routes: S) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let observation = rpc.figures.begin();
    let span = span(&rpc.method, request.headers());
    let deadline = Deadline::of(&rpc.method, request.headers());
    let guarded = deadline.hold(authorized(&shared, &rpc, request, routes));
    let outcome = AssertUnwindSafe(guarded).catch_unwind().instrument(span.clone()).await;
    let response = outcome
        .unwrap_or_else(|_| Err(panicked()))
        .unwrap_or_else(Status::into_http);
    let stream_end = rpc
        .method
        .streams
        .then(|| StreamEnd::new(deadline, shared.drain.clone()));
    ObservedBody::around(response, observation, span, stream_end)
}

async fn authorized<S>(
    shared: &Shared,
    rpc: &Rpc,
    mut request: Request<Body>,
    mut routes: S,
) -> Result<Response<Body>, Status>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let caller = authorize::authorize(&rpc.method.access, request.headers(), &shared.verifier).await?;
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    let Ok(response) = routes.call(request).await;
    Ok(response)
}

fn span(method: &policy::Method, headers: &HeaderMap) -> Span {
    let span = tracing::info_span!(
        "rpc",
        otel.name = method.full_name,
        otel.kind = "server",
        rpc.system = "grpc",
        rpc.service = method.service,
        rpc.method = method.name,
        rpc.grpc.status_code = Empty,
    );
    let traceparent = headers.get(trace::TRACEPARENT);
    trace::adopt(&span, traceparent.and_then(|value| value.to_str().ok()));
    span
}

/// A bug in one handler must not take the connection of everybody else with it. The panic hook has logged it.
fn panicked() -> Status {
    status::with_reason(Code::Internal, "INTERNAL", "internal error", &[])
}
