//! What every fault run stands on: the stores, keys and tokens, services that answer from memory, and edges before them.
//!
//! Starting and harming block. The thread that does so has nothing else to do: traffic runs on the runtime's own.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use devstack::{Devstack, Ports};
use system_tests::{Client, Usage};

use crate::{
    answering::Pace,
    children::{Folder, Process},
};

/// Services whose folders have credentials that nobody uses: the keys of tokens are the healthy service's.
const UNUSED: &str = "unused";

pub struct Setting {
    binaries: PathBuf,
    pub folder: Folder,
    pub stores: Devstack,
    /// The service that has the keys of tokens, and that nothing happens to.
    healthy: Process,
}

/// An edge of its own for each run, so that no run begins with what another has left.
pub struct Edge {
    process: Process,
    admin_port: u16,
    pub memory_before: u64,
}

impl Setting {
    pub async fn prepare(binaries: &Path) -> Result<Self> {
        let folder = Folder::new()?;
        fs::create_dir_all(folder.0.join(UNUSED)).context("making a folder")?;
        let stores = Devstack::start_temporary(Ports::default()).await?;
        let healthy = start_service(&folder.0, 0, Pace::FREE)?;
        Ok(Self {
            binaries: binaries.to_owned(),
            folder,
            stores,
            healthy,
        })
    }

    /// The token of a user.
    pub fn token(&self) -> Result<String> {
        fs::read_to_string(self.folder.0.join("token")).context("reading the token")
    }

    /// The process id of Redis.
    pub fn redis(&self) -> u32 {
        let [_, redis, _] = self.stores.pids();
        redis
    }

    /// A service that may be harmed; 0 is any free port.
    pub fn service(&self, port: u16, pace: Pace) -> Result<Process> {
        start_service(&self.folder.0.join(UNUSED), port, pace)
    }

    /// An edge with these settings before whatever listens on the port.
    pub fn edge(&self, upstream: u16, settings: &Path) -> Result<Edge> {
        let (port, admin_port) = (free_port()?, free_port()?);
        let mut command = Command::new(self.binaries.join("edge-gateway"));
        command
            .env("EDGE_LISTEN", format!("127.0.0.1:{port}"))
            .env("EDGE_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
            .env("EDGE_SETTINGS", settings)
            .env("BOOKMESH_REDIS_URL", self.stores.redis_url())
            .env("EDGE_SERVICE_KEY", self.folder.0.join("service.pem"))
            .env("BOOKMESH_SERVICE_KEYS", self.folder.0.join("services.jwks.json"))
            .env("BOOKMESH_AUTH_ADDRESS", address(self.healthy.port));
        for package in ["BOOKMARKS", "IMPORT", "TASK", "ENRICH"] {
            command.env(format!("BOOKMESH_{package}_ADDRESS"), address(upstream));
        }
        let log = self.folder.0.join("edge.log");
        let process = Process::of_server(&mut command, port, "/health/ready", &log)?;
        let memory_before = process.usage()?.memory_bytes;
        Ok(Edge {
            process,
            admin_port,
            memory_before,
        })
    }

    pub async fn end(self) {
        drop(self.healthy);
        self.stores.stop().await;
    }
}

impl Edge {
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.process.port)
    }

    pub fn usage(&self) -> Result<Usage> {
        self.process.usage()
    }

    /// A figure without labels of the edge's metrics.
    pub async fn figure(&self, name: &str) -> Result<f64> {
        let admin = Client::anonymous(&address(self.admin_port));
        let metrics = admin
            .request(reqwest::Method::GET, "/metrics")
            .send()
            .await?
            .text()
            .await?;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.with_context(|| format!("no figure {name}"))?
            .trim()
            .parse()
            .context("reading a figure")
    }
}

/// Sends a signal to a process that is ours.
pub fn signal(process: u32, name: &str) -> Result<()> {
    let status = Command::new("sh")
        .args(["-c", r#"kill -s "$1" "$2""#, "kill", name, &process.to_string()])
        .status()
        .context("running kill")?;
    ensure!(status.success(), "no process {process} to send {name} to");
    Ok(())
}

/// Memory before a run and after it, in MiB.
pub fn memory(before: u64, after: u64) -> [String; 2] {
    [before, after].map(system_tests::report::mebibytes)
}

/// Milliseconds with one digit.
pub fn shown(duration: Duration) -> String {
    format!("{:.1}", system_tests::report::milliseconds(duration))
}

fn start_service(folder: &Path, port: u16, pace: Pace) -> Result<Process> {
    let (port, at_once) = (port.to_string(), pace.at_once.to_string());
    let work = pace.work.as_millis().to_string();
    Process::of_own(&["answering", &folder.to_string_lossy(), &port, &at_once, &work])
}

fn address(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}
