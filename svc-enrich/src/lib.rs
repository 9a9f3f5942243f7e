//! Proposes tags and a summary for bookmarks, from the text that they already have.

mod config;
mod erase;
mod error;
mod events;
mod extract;
mod grpc;
mod store;

use std::sync::Arc;

use anyhow::Context;
use bookmesh_proto::enrich::v1::enrichment_service_server::EnrichmentServiceServer;
use outbox::{ConsumerConfig, Relay};
use secrecy::ExposeSecret;
use service::{Routes, Service, identity::Verifier, postgres};
use sqlx::{Connection, PgPool, migrate::Migrator};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::{Config, NAME};

use crate::{erase::EraseEnrichments, events::Proposer, grpc::Enrichments};

const CONSUMER: &str = "svc-enrich-bookmarks";
const BOOKMARK_EVENTS: &str = "evt.bookmarks.>";

static MIGRATOR: Migrator = sqlx::migrate!();

/// Brings the schema up to date, as the role that owns it.
pub async fn migrate(owner_url: &str) -> anyhow::Result<()> {
    postgres::migrate(owner_url, &[&outbox::MIGRATOR, &erasure::MIGRATOR, &MIGRATOR]).await
}

/// Serves until `shutdown`.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let service_keys = config.service.service_keys.clone();
    let verifier = Verifier::remote(NAME, &config.auth_address, service_keys, config.signer.clone())?;
    run_with(config, verifier, listener, shutdown).await
}

/// As [`run`], with any verifier: tests bring their own.
pub async fn run_with(
    config: Config,
    verifier: Verifier,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let service = Service::start(NAME, &config.service, shutdown).await?;
    let database_url = config.database_url.expose_secret();
    let pool = postgres::connect(database_url, config.database_max_connections, service.metrics()).await?;
    let probed = pool.clone();
    service.add_readiness("postgres", move || Box::pin(reach(probed.clone())));
    consume(&service, &config, &pool).await?;

    let routes = Routes::new(EnrichmentServiceServer::new(Enrichments { pool }));
    service.serve(listener, verifier, routes).await
}

async fn consume(service: &Service, config: &Config, pool: &PgPool) -> anyhow::Result<()> {
    let nats = outbox::connect_nats(&config.nats_url).await?;
    let metrics = outbox::Metrics::register(service.metrics());
    let relay = Relay::new(pool.clone(), nats.clone(), NAME, metrics.clone());
    service.spawn("outbox relay", relay.run(service.shutdown()));
    let consumer = ConsumerConfig {
        retry_delays: config.retry_delays.clone(),
        ..ConsumerConfig::new(CONSUMER, BOOKMARK_EVENTS)
    };
    let handler = Arc::new(Proposer);
    let consumer = outbox::consume(
        consumer,
        pool.clone(),
        nats.clone(),
        handler,
        metrics.clone(),
        service.shutdown(),
    );
    service.spawn("consumer of bookmarks", consumer);
    erasure::start(service, pool, &nats, metrics, erase::NAMES, EraseEnrichments);
    Ok(())
}

async fn reach(pool: PgPool) -> anyhow::Result<()> {
    pool.acquire().await?.ping().await.context("reaching postgres")
}
