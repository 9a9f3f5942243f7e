//! Bookmarks, tags and collections, and the search over them.

mod config;
mod domain;
mod erase;
mod error;
mod events;
mod grpc;
mod search;
mod store;

use std::{path::PathBuf, sync::Arc};

use bookmesh_proto::bookmarks::v1::{
    bookmark_internal_service_server::BookmarkInternalServiceServer, bookmark_service_server::BookmarkServiceServer,
};
use outbox::Relay;
use secrecy::ExposeSecret;
use service::{Routes, Service, identity::Verifier, postgres};
use sqlx::{PgPool, migrate::Migrator};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;

use crate::{
    erase::EraseBookmarks,
    grpc::{Bookmarks, MAX_MESSAGE_BYTES},
    search::{Follower, Search},
};

const NAME: &str = "svc-bookmarks";

static MIGRATOR: Migrator = sqlx::migrate!();

/// Brings the schema up to date, as the role that owns it.
pub async fn migrate(owner_url: &str) -> anyhow::Result<()> {
    postgres::migrate(
        owner_url,
        &[&outbox::MIGRATOR, &idempotency::MIGRATOR, &erasure::MIGRATOR, &MIGRATOR],
    )
    .await
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
    let nats = outbox::connect_nats(&config.nats_url).await?;

    let outbox_metrics = outbox::Metrics::register(service.metrics());
    let relay = Relay::new(pool.clone(), nats.clone(), NAME, outbox_metrics.clone());
    let waker = relay.waker();
    service.spawn("outbox relay", relay.run(service.shutdown()));
    service.spawn("idempotency keys", idempotency::sweep(pool.clone(), service.shutdown()));
    erasure::start(&service, &pool, &nats, outbox_metrics, erase::NAMES, EraseBookmarks);
    let search = follow(&service, &pool, nats, config.index_folder);
    let bookmarks = Bookmarks {
        pool: pool.clone(),
        search,
        waker,
    };
    add_readiness(&service, pool);

    let users = BookmarkServiceServer::new(bookmarks.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let services = BookmarkInternalServiceServer::new(bookmarks).max_decoding_message_size(MAX_MESSAGE_BYTES);
    service
        .serve(listener, verifier, Routes::new(users).add_service(services))
        .await
}

fn follow(service: &Service, pool: &PgPool, nats: async_nats::Client, folder: PathBuf) -> Arc<Search> {
    let search = Arc::new(Search::default());
    service.metrics().register(
        "search_without_index",
        "Searches that were answered out of the list, for want of the index",
        search.without_index.clone(),
    );
    let follower = Follower {
        search: Arc::clone(&search),
        pool: pool.clone(),
        nats,
        folder,
        metrics: search::Metrics::register(service.metrics()),
        shutdown: service.shutdown(),
    };
    service.spawn("search index", follower.run());
    search
}

/// Only Postgres is needed: without NATS and without an index everything but search goes on.
fn add_readiness(service: &Service, pool: PgPool) {
    service.add_readiness("postgres", move || {
        let pool = pool.clone();
        Box::pin(async move {
            store::ping(&pool).await?;
            Ok(())
        })
    });
}
