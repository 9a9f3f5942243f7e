//! The three servers together.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Context;

use crate::{database, nats, ports::Ports, postgres, redis, server::Server, temporary::TemporaryFolder};

/// What must survive. Both survive the death of any process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// A power cut too: every commit is synced to disk.
    Durably,
    /// Nothing more: quick.
    ForTests,
}

/// Private PostgreSQL, Redis and NATS servers on 127.0.0.1. Dropping it stops them.
#[derive(Debug)]
pub struct Devstack {
    postgres: Mutex<Server>,
    redis: Mutex<Server>,
    nats: Mutex<Server>,
    postgres_port: u16,
    redis_port: u16,
    nats_port: u16,
    folder: PathBuf,
    // After the servers: fields are dropped in order, and the folder goes last.
    _temporary: Option<TemporaryFolder>,
}

impl Devstack {
    /// Starts all three in `folder` (made when missing; data is kept between starts), durably, on free ports unless
    /// `ports` names them.
    pub async fn start(folder: &Path, ports: Ports) -> anyhow::Result<Devstack> {
        Devstack::start_keeping(folder, ports, Keep::Durably).await
    }

    /// As [`Devstack::start`], with a say in what is kept.
    pub async fn start_keeping(folder: &Path, ports: Ports, keep: Keep) -> anyhow::Result<Devstack> {
        let folder = folder.to_owned();
        tokio::task::spawn_blocking(move || Devstack::start_blocking(&folder, ports, keep)).await?
    }

    /// Starts all three in a folder of their own that is gone when the stack or this process is.
    pub async fn start_temporary(ports: Ports) -> anyhow::Result<Devstack> {
        tokio::task::spawn_blocking(move || Devstack::start_temporary_blocking(ports)).await?
    }

    pub(crate) fn start_temporary_blocking(ports: Ports) -> anyhow::Result<Devstack> {
        let temporary = TemporaryFolder::new()?;
        let mut stack = Devstack::start_blocking(temporary.path(), ports, Keep::ForTests)?;
        stack._temporary = Some(temporary);
        Ok(stack)
    }

    fn start_blocking(folder: &Path, ports: Ports, keep: Keep) -> anyhow::Result<Devstack> {
        fs::create_dir_all(folder.join("log")).with_context(|| format!("making {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let (postgres, postgres_port) = Server::start(ports.postgres, |port| postgres::launch(&folder, port, keep))?;
        let (redis, redis_port) = Server::start(ports.redis, |port| redis::launch(&folder, port, keep))?;
        let (nats, nats_port) = Server::start(ports.nats, |port| nats::launch(&folder, port))?;
        let stack = Devstack {
            postgres: Mutex::new(postgres),
            redis: Mutex::new(redis),
            nats: Mutex::new(nats),
            postgres_port,
            redis_port,
            nats_port,
            folder,
            _temporary: None,
        };
        database::create_database_blocking(&stack.maintenance_url(), database::DATABASE)?;
        Ok(stack)
    }

    /// The folder in which the servers keep their data; their logs are in `log/`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The database `bookmesh` as `role`. The superuser is `postgres`.
    pub fn postgres_url(&self, role: &str) -> String {
        self.database_url(role, database::DATABASE)
    }

    /// Where Postgres listens, as `host:port`.
    pub fn postgres_address(&self) -> String {
        format!("127.0.0.1:{}", self.postgres_port)
    }

    pub fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.redis_port)
    }

    pub fn nats_url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.nats_port)
    }

    pub(crate) fn database_url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@{}/{database}", self.postgres_address())
    }

    pub(crate) fn maintenance_url(&self) -> String {
        self.database_url("postgres", "postgres")
    }

    /// Stops the three, and returns when they are gone.
    pub async fn stop(self) {
        // Dropping waits for each server; a panic in there has been reported already.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}

/// For tests of what happens when a server is gone. All wait until it is done.
impl Devstack {
    /// Process ids of Postgres, Redis and NATS, in this order; 0 for one that was killed.
    pub fn pids(&self) -> [u32; 3] {
        [&self.postgres, &self.redis, &self.nats].map(|store| lock(store).pid().unwrap_or(0))
    }

    pub fn kill_postgres(&self) -> anyhow::Result<()> {
        lock(&self.postgres).kill()
    }

    pub fn start_postgres(&self) -> anyhow::Result<()> {
        lock(&self.postgres).start_again()
    }

    pub fn kill_redis(&self) -> anyhow::Result<()> {
        lock(&self.redis).kill()
    }

    pub fn start_redis(&self) -> anyhow::Result<()> {
        lock(&self.redis).start_again()
    }

    /// Forgets everything that Redis holds, while it runs.
    pub fn flush_redis(&self) -> anyhow::Result<()> {
        redis::flush(self.redis_port)
    }

    pub fn kill_nats(&self) -> anyhow::Result<()> {
        lock(&self.nats).kill()
    }

    pub fn start_nats(&self) -> anyhow::Result<()> {
        lock(&self.nats).start_again()
    }

    /// Kills NATS, removes all that JetStream has stored, and starts it again on the same port.
    pub fn wipe_jetstream(&self) -> anyhow::Result<()> {
        let mut nats = lock(&self.nats);
        if nats.pid().is_some() {
            nats.kill()?;
        }
        fs::remove_dir_all(self.folder.join("nats/jetstream")).context("removing JetStream's folder")?;
        nats.start_again()
    }

    /// The first server that has ended by itself: its name, how, and its last lines.
    pub fn ended(&self) -> Option<String> {
        [&self.postgres, &self.redis, &self.nats]
            .into_iter()
            .find_map(|store| lock(store).ended())
    }
}

/// A panic elsewhere does not make a port or a process wrong.
fn lock(store: &Mutex<Server>) -> MutexGuard<'_, Server> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
