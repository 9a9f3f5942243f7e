//! `up`: installs what is missing, builds, and runs the whole platform until Ctrl-C.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use devstack::{
    Keep,
    platform::{PROGRAMS, Platform, PlatformOptions, PlatformPorts},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time,
};

use crate::{
    lock::{self, Taken},
    run,
};

/// The ports, and the variables that change them: the edge; the first of the services; the first of the admin ports.
const EDGE_PORT: (&str, u16) = ("BOOKMESH_PORT", 8080);
const SERVICES_PORT: (&str, u16) = ("BOOKMESH_SERVICES_PORT", 50051);
const ADMIN_PORT: (&str, u16) = ("BOOKMESH_ADMIN_PORT", 9090);
const PORTS_HINT: &str =
    "choose others with BOOKMESH_PORT (edge), BOOKMESH_SERVICES_PORT (first of 5), BOOKMESH_ADMIN_PORT (first of 6)";

const WATCH_INTERVAL: Duration = Duration::from_millis(200);

/// Returns when told to stop by a signal; an error when a process ends by itself.
pub(crate) async fn up() -> anyhow::Result<()> {
    let folder = lock::data_folder()?;
    let _lock = match lock::take(&folder)? {
        Taken::ByUs(lock) => lock,
        Taken::ByAnother(pid) => bail!("`make up` runs already, as process {pid}; `make down` ends it"),
    };
    let ports = ports()?;
    ports.check_free().map_err(|taken| anyhow!("{taken}\n{PORTS_HINT}"))?;
    devstack::install()?;
    let binaries = build()?;
    let mut interrupt = Interrupt::new()?;
    let options = PlatformOptions {
        folder,
        binaries,
        ports,
        keep: Keep::Durably,
        environment: Vec::new(),
        report: say,
    };
    let platform = tokio::select! {
        platform = Platform::start(options) => platform?,
        () = interrupt.received() => return Ok(()),
    };
    announce(&platform);
    let outcome = tokio::select! {
        ending = first_ending(&platform) => Err(anyhow!(ending)),
        () = interrupt.received() => Ok(()),
    };
    say("stopping");
    platform.stop().await;
    outcome
}

/// Ctrl-C in a terminal, or SIGTERM from elsewhere.
struct Interrupt {
    from_terminal: Signal,
    from_elsewhere: Signal,
}

impl Interrupt {
    fn new() -> anyhow::Result<Interrupt> {
        Ok(Interrupt {
            from_terminal: signal(SignalKind::interrupt()).context("listening for Ctrl-C")?,
            from_elsewhere: signal(SignalKind::terminate()).context("listening for SIGTERM")?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.from_terminal.recv() => {}
            _ = self.from_elsewhere.recv() => {}
        }
    }
}

/// Builds the six binaries, and returns their folder. Cargo shows its progress.
fn build() -> anyhow::Result<PathBuf> {
    say("building the six programs; the first time this takes some minutes");
    run::run(&mut run::build_of(PROGRAMS.map(|program| program.name), "release"))?;
    Ok(run::target_folder()?.join("release"))
}

fn ports() -> anyhow::Result<PlatformPorts> {
    Ok(PlatformPorts::counted(
        port(EDGE_PORT)?,
        port(SERVICES_PORT)?,
        port(ADMIN_PORT)?,
    ))
}

#[expect(clippy::disallowed_methods, reason = "a command-line tool is told by variables")]
fn port((variable, usual): (&str, u16)) -> anyhow::Result<u16> {
    match env::var(variable) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{variable}={text:?} is not a port")),
        Err(_) => Ok(usual),
    }
}

/// The last line is what scripts and people wait for.
fn announce(platform: &Platform) {
    let stack = platform.stack();
    for program in PROGRAMS.iter().filter(|program| program.schema.is_some()) {
        println!("{:14} grpc {}", program.name, platform.service_address(program.name));
    }
    println!("{:14} {}", "postgres", stack.postgres_url("postgres"));
    println!("{:14} {}", "redis", stack.redis_url());
    println!("{:14} {}", "nats", stack.nats_url());
    println!("{:14} {}", "logs", relative(&platform.folder().join("log")).display());
    println!("ready: {}", platform.edge_url());
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix(run::workspace()).unwrap_or(path)
}

async fn first_ending(platform: &Platform) -> String {
    loop {
        if let Some(ending) = platform.ended() {
            return ending;
        }
        time::sleep(WATCH_INTERVAL).await;
    }
}

fn say(what: &str) {
    println!("{what}");
}
