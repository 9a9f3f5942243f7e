//! The three servers together.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail, ensure};

use crate::{
    database, nats,
    ports::{Ports, free_port, is_free},
    postgres,
    process::{Launch, Process},
    redis,
    temporary::TemporaryFolder,
};

const READY_WITHIN: Duration = Duration::from_secs(60);
/// A free port can be taken by somebody else before our server has it.
const ATTEMPTS: usize = 5;

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
    postgres: Mutex<Store>,
    redis: Mutex<Store>,
    nats: Mutex<Store>,
    folder: PathBuf,
    // After the servers: fields are dropped in order, and the folder goes last.
    _temporary: Option<TemporaryFolder>,
}

#[derive(Debug)]
struct Store {
    port: u16,
    launch: Launch,
    process: Option<Process>,
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
        let postgres = Store::start(ports.postgres, |port| postgres::launch(&folder, port, keep))?;
        let redis = Store::start(ports.redis, |port| redis::launch(&folder, port, keep))?;
        let nats = Store::start(ports.nats, |port| nats::launch(&folder, port))?;
        let stack = Devstack {
            postgres: Mutex::new(postgres),
            redis: Mutex::new(redis),
            nats: Mutex::new(nats),
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
        format!("127.0.0.1:{}", lock(&self.postgres).port)
    }

    pub fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", lock(&self.redis).port)
    }

    pub fn nats_url(&self) -> String {
        format!("nats://127.0.0.1:{}", lock(&self.nats).port)
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
        [&self.postgres, &self.redis, &self.nats].map(|store| lock(store).process.as_ref().map_or(0, Process::pid))
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
        redis::flush(lock(&self.redis).port)
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
        if nats.process.is_some() {
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

impl Store {
    fn start(named: Option<u16>, launch: impl Fn(u16) -> anyhow::Result<Launch>) -> anyhow::Result<Store> {
        if let Some(port) = named {
            let launch = launch(port)?;
            ensure!(is_free(port), "port {port} for {} is in use", launch.name);
            let process = launch.start(READY_WITHIN)?;
            return Ok(Store {
                port,
                launch,
                process: Some(process),
            });
        }
        let mut attempt = 1;
        loop {
            let port = free_port();
            let launch = launch(port)?;
            match launch.start(READY_WITHIN) {
                Ok(process) => {
                    return Ok(Store {
                        port,
                        launch,
                        process: Some(process),
                    });
                }
                Err(_) if attempt < ATTEMPTS && !is_free(port) => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.process
            .take()
            .with_context(|| format!("{} does not run", self.launch.name))?
            .kill()
    }

    /// The same server on the same port. Leftovers of a killed Postgres go within moments, so it is tried again.
    fn start_again(&mut self) -> anyhow::Result<()> {
        if self.process.is_some() {
            bail!("{} runs already", self.launch.name);
        }
        let mut attempt = 1;
        loop {
            match self.launch.start(READY_WITHIN) {
                Ok(process) => {
                    self.process = Some(process);
                    return Ok(());
                }
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn ended(&mut self) -> Option<String> {
        let ending = self.process.as_mut()?.ended().ok()??;
        let log = crate::process::last_lines(&self.launch.log);
        Some(format!("{} {ending}; its last lines:\n{log}", self.launch.name))
    }
}

/// A panic elsewhere does not make a port or a process wrong.
fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
