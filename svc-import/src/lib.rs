//! Importing files of bookmarks: an upload becomes a task, a worker reads the file and has its rows saved.

mod bookmarks;
mod config;
mod domain;
mod erase;
mod events;
mod failure;
mod grpc;
mod netscape;
mod objects;
mod store;
mod sweeper;
mod task_events;
mod tasks;
mod upload;
mod worker;

use std::sync::Arc;

use bookmesh_proto::imports::v1::import_service_server::ImportServiceServer;
use outbox::{ConsumerConfig, Relay};
use secrecy::ExposeSecret;
use service::{Routes, Service, client::InternalClient, identity::Verifier, postgres};
use sqlx::{PgPool, migrate::Migrator};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    bookmarks::Bookmarks, erase::EraseImports, grpc::Imports, objects::Objects, sweeper::Sweeper,
    task_events::TaskEvents, tasks::Tasks, worker::Worker,
};

pub use crate::config::{Config, Limits, NAME};

static MIGRATOR: Migrator = sqlx::migrate!();

/// Brings the schema up to date, as the role that owns it.
pub async fn migrate(owner_url: &str) -> anyhow::Result<()> {
    postgres::migrate(
        owner_url,
        &[&outbox::MIGRATOR, &idempotency::MIGRATOR, &erasure::MIGRATOR, &MIGRATOR],
    )
    .await
}

/// Serves until the shutdown, trusting the tokens that svc-auth vouches for.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let verifier = Verifier::remote(
        NAME,
        &config.auth_address,
        config.service.service_keys.clone(),
        config.signer.clone(),
    )?;
    run_with(config, verifier, listener, shutdown).await
}

/// Serves until the shutdown, trusting what `verifier` trusts.
pub async fn run_with(
    config: Config,
    verifier: Verifier,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let service = Service::start(NAME, &config.service, shutdown).await?;
    let metrics = service.metrics();
    let url = config.database_url.expose_secret();
    let pool = postgres::connect(url, config.database_max_connections, metrics).await?;
    let nats = outbox::connect_nats(&config.nats_url).await?;
    let objects = Objects::open(&config.object_store_url)?;
    let bookmarks = Bookmarks::new(client(&config, &config.bookmarks_address, "svc-bookmarks")?);
    let tasks = Tasks::new(client(&config, &config.task_address, "svc-task")?);
    let outbox_metrics = outbox::Metrics::register(metrics);

    let relay = Relay::new(pool.clone(), nats.clone(), NAME, outbox_metrics.clone());
    let waker = relay.waker();
    service.spawn("outbox relay", relay.run(service.shutdown()));
    service.spawn("idempotency keys", idempotency::sweep(pool.clone(), service.shutdown()));
    let worker = Arc::new(Worker {
        pool: pool.clone(),
        objects: objects.clone(),
        bookmarks,
        tasks: tasks.clone(),
        waker,
        limits: config.limits,
    });
    for _ in 0..config.limits.workers {
        service.spawn("worker", Arc::clone(&worker).run(nats.clone(), service.shutdown()));
    }
    let sweeper = Sweeper {
        pool: pool.clone(),
        objects: objects.clone(),
        tasks: tasks.clone(),
    };
    service.spawn("sweeper", sweeper.run(service.shutdown()));
    let erase = EraseImports {
        objects: objects.clone(),
    };
    erasure::start(&service, &pool, &nats, outbox_metrics.clone(), erase::NAMES, erase);
    follow_tasks(&service, &pool, nats, outbox_metrics);

    let imports = Imports {
        pool,
        objects,
        tasks,
        limits: config.limits,
    };
    service
        .serve(listener, verifier, Routes::new(ImportServiceServer::new(imports)))
        .await
}

fn follow_tasks(service: &Service, pool: &PgPool, nats: async_nats::Client, metrics: outbox::Metrics) {
    let task_events = outbox::consume(
        ConsumerConfig::new("svc-import-tasks", "evt.task.>"),
        pool.clone(),
        nats,
        Arc::new(TaskEvents),
        metrics,
        service.shutdown(),
    );
    service.spawn("task events", task_events);
}

fn client(config: &Config, address: &str, audience: &str) -> anyhow::Result<InternalClient> {
    Ok(InternalClient::new(
        service::client::channel(address)?,
        config.signer.clone(),
        audience,
    ))
}
