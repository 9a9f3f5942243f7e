//! Postgres as every service uses it: a pool, transactions scoped to one owner, migrations, and its errors on the wire.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use anyhow::Context;
use futures::future::BoxFuture;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Error, PgConnection, PgPool, Postgres, Transaction,
    migrate::{Migration, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{Instant, sleep};
use tonic::Status;
use tracing::Instrument;
use uuid::Uuid;

use crate::{identity::Refusal, metrics::Metrics, status};

/// A call that waits longer for a connection had better be tried again later.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(500);
const START_TIMEOUT: Duration = Duration::from_secs(30);
const START_PAUSE: Duration = Duration::from_millis(100);
/// A connection that was idle for longer may have been cut by the network; asking costs it one round trip.
const TRUSTED_IDLE: Duration = Duration::from_secs(10);
/// What a write for an owner who was deleted is refused with: `refuse_deleted_owner()` of the crate erasure.
const OWNER_DELETED: &str = "BM001";
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A pool on a database that answers: waits for one that is starting, up to 30 seconds.
pub async fn connect(url: &str, max_connections: u32, metrics: &Metrics) -> anyhow::Result<PgPool> {
    let options = options(url)?;
    let connection = wait_for(&options).await?;
    connection
        .close()
        .await
        .context("closing the first connection to the database")?;
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, state| {
            Box::pin(async move {
                if state.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options);
    observe(&pool, metrics);
    Ok(pool)
}

/// A transaction that sees and writes the rows of `owner` alone: row-level security reads `bookmesh.owner`.
///
/// Both statements go in one round trip.
pub async fn begin(pool: &PgPool, owner: Uuid) -> sqlx::Result<Transaction<'static, Postgres>> {
    // A UUID prints as hexadecimal digits and hyphens, so nothing can break out of the quotes.
    let statement = format!("BEGIN; SET LOCAL bookmesh.owner = '{owner}'");
    let pool = pool.clone();
    begin_whole(async move { pool.begin_with(AssertSqlSafe(statement)).await }).await
}

/// A transaction of no owner yet, for functions that find out whose it is.
pub async fn begin_unowned(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let pool = pool.clone();
    begin_whole(async move { pool.begin().await }).await
}

/// Brings the schema of the role in `owner_url` up to date with the migrations of all `migrators`, by version.
pub async fn migrate(owner_url: &str, migrators: &[&Migrator]) -> anyhow::Result<()> {
    let mut connection = wait_for(&options(owner_url)?).await?;
    let mut by_version: BTreeMap<i64, Migration> = BTreeMap::new();
    for migration in migrators.iter().flat_map(|migrator| migrator.iter()) {
        let version = migration.version;
        let twice = by_version.insert(version, migration.clone()).is_some();
        anyhow::ensure!(!twice, "two migrations have the version {version}");
    }
    let migrator = Migrator::with_migrations(by_version.into_values().collect());
    migrator.run(&mut connection).await.context("running the migrations")?;
    connection
        .close()
        .await
        .context("closing the connection after the migrations")
}

/// A check for [`crate::Service::add_readiness`]: the database answers.
pub fn ping(pool: PgPool) -> BoxFuture<'static, anyhow::Result<()>> {
    Box::pin(async move {
        let mut connection = pool.acquire().await?;
        connection.ping().await?;
        Ok(())
    })
}

/// A database error on the wire: UNAVAILABLE when trying again may help, otherwise INTERNAL, logged.
pub fn status(error: Error) -> Status {
    if is_unavailable(&error) {
        tracing::warn!(error = %error, "the database is not available");
        return status::unavailable("the database is not available", RETRY_AFTER);
    }
    if is_owner_deleted(&error) {
        return Refusal::SessionEnded.status();
    }
    status::internal(&anyhow::Error::new(error).context("asking the database"))
}

/// Whether a write was refused because its owner was deleted. Whoever calls for that owner has a token of a session that has
/// ended, and this process has not heard of it yet.
pub fn is_owner_deleted(error: &Error) -> bool {
    matches!(error, Error::Database(database) if database.code().as_deref() == Some(OWNER_DELETED))
}

/// Whether the error says that the database is busy, starting, stopping or out of reach, or that this transaction had to give way.
pub fn is_unavailable(error: &Error) -> bool {
    match error {
        Error::PoolTimedOut | Error::PoolClosed | Error::Io(_) | Error::WorkerCrashed | Error::BeginFailed => true,
        Error::Database(database) => database.code().is_some_and(|code| is_unavailable_code(&code)),
        _ => false,
    }
}

/// Connection exceptions, too many connections, a server that shuts down or is not ready, and transactions that were in each other's way
/// (40001, 40P01).
fn is_unavailable_code(code: &str) -> bool {
    code.starts_with("08") || matches!(code, "40001" | "40P01" | "53300" | "57P01" | "57P02" | "57P03")
}

/// Begins whether or not the caller waits for it. A call that is given up while BEGIN is under way would hand its
/// connection back inside the transaction, owner and all, because sqlx rolls back only what it has seen begin.
async fn begin_whole(
    begin: impl Future<Output = sqlx::Result<Transaction<'static, Postgres>>> + Send + 'static,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    let begun = tokio::spawn(begin.in_current_span()).await;
    begun.unwrap_or(Err(Error::WorkerCrashed))
}

fn options(url: &str) -> anyhow::Result<PgConnectOptions> {
    // The parse error does not repeat the URL, which may hold a password.
    let options = PgConnectOptions::from_str(url).context("reading the database URL")?;
    Ok(options.disable_statement_logging())
}

async fn wait_for(options: &PgConnectOptions) -> anyhow::Result<PgConnection> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let error = match tokio::time::timeout_at(deadline, PgConnection::connect_with(options)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_) => Error::PoolTimedOut,
        };
        if !is_unavailable(&error) || Instant::now() + START_PAUSE >= deadline {
            let (host, port) = (options.get_host().to_owned(), options.get_port());
            return Err(error).with_context(|| format!("connecting to the database at {host}:{port}"));
        }
        sleep(START_PAUSE).await;
    }
}

fn observe(pool: &PgPool, metrics: &Metrics) {
    let (open, idle) = (pool.clone(), pool.clone());
    metrics.observe(
        "postgres_pool_connections",
        "Open connections to the database",
        move || f64::from(open.size()),
    );
    metrics.observe(
        "postgres_pool_idle_connections",
        "Open connections that nobody uses",
        move || u32::try_from(idle.num_idle()).map_or(f64::NAN, f64::from),
    );
}
