//! Tasks: work that goes on after a call was answered. The one place that says where a task is.

mod config;
mod domain;
mod erase;
mod error;
mod events;
mod grpc;
mod metrics;
mod store;
mod sweeper;
mod watch;

use bookmesh_proto::task::v1::{
    task_internal_service_server::TaskInternalServiceServer, task_service_server::TaskServiceServer,
};
use outbox::Relay;
use secrecy::ExposeSecret;
use service::{Routes, Service, identity::Verifier, postgres};
use sqlx::{PgPool, migrate::Migrator};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use crate::config::Config;
use crate::{
    erase::EraseTasks,
    grpc::{Internal, Public},
    metrics::Metrics,
    sweeper::Sweeper,
    watch::Watcher,
};

const NAME: &str = "svc-task";

static MIGRATOR: Migrator = sqlx::migrate!();

/// Brings the schema up to date, as the role that owns it.
pub async fn migrate(owner_url: &str) -> anyhow::Result<()> {
    postgres::migrate(owner_url, &[&outbox::MIGRATOR, &erasure::MIGRATOR, &MIGRATOR]).await
}

/// Serves until `shutdown`.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let keys = config.service.service_keys.clone();
    let verifier = Verifier::remote(NAME, &config.auth_address, keys, config.signer.clone())?;
    run_with(config, verifier, listener, shutdown).await
}

/// As [`run`], with a verifier of the caller's.
pub async fn run_with(
    config: Config,
    verifier: Verifier,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let service = Service::start(NAME, &config.service, shutdown).await?;
    let database_url = config.database_url.expose_secret();
    let pool = postgres::connect(database_url, config.database_max_connections, service.metrics()).await?;
    let nats = outbox::connect_nats(&config.nats_url).await?;
    let metrics = Metrics::register(service.metrics());

    let outbox_metrics = outbox::Metrics::register(service.metrics());
    let relay = Relay::new(pool.clone(), nats.clone(), NAME, outbox_metrics.clone());
    let waker = relay.waker();
    service.spawn("relay", relay.run(service.shutdown()));
    let sweeper = Sweeper::new(pool.clone(), waker.clone(), metrics.clone());
    service.spawn("sweeper", sweeper.run(service.shutdown()));
    erasure::start(&service, &pool, &nats, outbox_metrics, erase::NAMES, EraseTasks);
    let watcher = Watcher::new(pool.clone(), nats);

    add_readiness(&service, pool.clone());

    let public = Public::new(pool.clone(), watcher, waker.clone());
    let internal = Internal::new(pool, waker, metrics);
    let routes = Routes::new(TaskServiceServer::new(public)).add_service(TaskInternalServiceServer::new(internal));
    service.serve(listener, verifier, routes).await
}

/// Only Postgres is needed: without NATS hints come late, and nothing else.
fn add_readiness(service: &Service, pool: PgPool) {
    service.add_readiness("postgres", move || {
        let pool = pool.clone();
        Box::pin(async move {
            store::reach(&pool).await?;
            Ok(())
        })
    });
}
