//! The edge: REST/JSON in, gRPC out. Everything it serves is read from a descriptor set; it has no database, no handler
//! per RPC and no business rule. Start reading at [`run`], then at `forward.rs`.

mod access;
mod admin;
mod body;
mod cache;
mod call;
mod client;
mod codec;
mod compress;
mod config;
mod connection;
mod contract;
mod cors;
mod deadline;
mod edge;
mod endpoint;
mod etag;
mod exchange;
mod farewell;
mod forward;
mod gcra;
mod header_value;
mod health;
mod idempotency;
mod lifecycle;
mod limit;
mod mask;
mod metadata;
mod observe;
mod openapi;
mod own;
mod policy;
mod problem;
mod resilience;
mod respond;
mod routing;
mod security;
mod settings;
mod stream;
mod unary;
mod upload;
mod upstream;
mod worker;

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Context;
use service::Service;
use service::identity::Verifier;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use farewell::Farewell;

pub use cache::CacheSettings;
pub use client::ClientSettings;
pub use config::Config;
pub use connection::ConnectionSettings;
pub use cors::CorsSettings;
pub use edge::{Edge, EdgeParts};
pub use limit::LimitSettings;
pub use openapi::contract_document;
pub use resilience::{BreakerSettings, OverloadSettings, RetrySettings};
pub use routing::{MirrorSettings, MountSettings, RoutingSettings, RuleSettings};
pub use security::SecuritySettings;
pub use settings::Settings;
pub use upstream::{Finding, KubernetesApi, Upstream};

/// Serves the contract until the shutdown.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let service = Service::start(config::NAME, &config.service, shutdown.clone()).await?;
    let service_keys = config.service.service_keys.clone();
    let verifier = Verifier::remote(config::NAME, &config.key_server, service_keys, config.signer.clone())?;
    verifier.start(&service);
    let edge = Arc::new(Edge::compile(EdgeParts {
        descriptor_set: bookmesh_proto::FILE_DESCRIPTOR_SET,
        upstreams: config.upstreams,
        finding: config.finding,
        verifier,
        settings: config.settings,
        redis: config.redis,
        metrics: service.metrics(),
        stopping: shutdown.clone(),
    })?);
    admin::show(&service, &edge);
    let follow_settings = settings::follow_signals(Arc::clone(&edge), config.settings_file, shutdown);
    service.spawn("settings", follow_settings);
    if let Some(nats_url) = config.nats_url {
        service.spawn("events", edge.follow_events(nats_url, service.shutdown()));
    }
    service.run(|drain| serve(edge, listener, config.workers, drain)).await
}

/// Serves until `drain` is cancelled, then finishes what has begun.
pub async fn serve(
    edge: Arc<Edge>,
    listener: TcpListener,
    workers: NonZeroUsize,
    drain: CancellationToken,
) -> anyhow::Result<()> {
    let listener = listener.into_std().context("taking over the listener")?;
    let farewell = Farewell::new(&listener)?;
    let mut server = connection::serve(edge, listener, workers, farewell.guests())?;
    let handle = server.handle();
    tokio::select! {
        ended = &mut server => return ended.context("serving"),
        () = drain.cancelled() => {}
    }
    let stop = async {
        farewell.let_callers_leave(&handle).await;
        handle.stop(true).await;
    };
    let (ended, ()) = tokio::join!(server, stop);
    ended.context("stopping")
}
