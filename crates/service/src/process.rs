//! The life of a process: configuration, telemetry, listener, signals, exit code.

use std::{
    fmt,
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{ConfigErrors, Environment},
    telemetry::{Telemetry, TelemetryConfig},
};

/// EX_USAGE of sysexits.h: started the wrong way, starting again will not help.
const BAD_CONFIGURATION: u8 = 64;
/// Hashing, tantivy and files block; more threads than this would only wait for the same cores and disk.
const MAX_BLOCKING_THREADS: usize = 16;
/// Connections that wait to be taken, as std and tokio have it.
const BACKLOG: u32 = 1024;
const BLOCKING_THREAD_IDLE: Duration = Duration::from_secs(10);

/// Something else that a binary does, as `<binary> <name>`.
pub struct Command {
    /// The argument.
    pub name: &'static str,
    /// What must follow it, as the usage line calls that.
    pub argument: Option<&'static str>,
    /// Does it, given the name of the binary and what followed, if anything had to.
    pub run: fn(&'static str, String) -> ExitCode,
}

/// The whole `main` of a service with a database. `<binary>` runs it; `<binary> migrate` brings its schema up to date.
///
/// `prefix` starts the names of the process' own variables: `<prefix>_LISTEN`, `<prefix>_REUSE_PORT`,
/// `<prefix>_MIGRATION_DATABASE_URL`.
pub fn main<C, M, R>(
    name: &'static str,
    prefix: &str,
    read_config: fn(&mut Environment) -> Option<C>,
    migrate: M,
    run: R,
) -> ExitCode
where
    M: AsyncFnOnce(&str) -> anyhow::Result<()>,
    R: AsyncFnOnce(C, TcpListener, CancellationToken) -> anyhow::Result<()>,
{
    main_with(&[], name, prefix, read_config, migrate, run)
}

/// Like [`main`], with more commands.
pub fn main_with<C, M, R>(
    commands: &[Command],
    name: &'static str,
    prefix: &str,
    read_config: fn(&mut Environment) -> Option<C>,
    migrate: M,
    run: R,
) -> ExitCode
where
    M: AsyncFnOnce(&str) -> anyhow::Result<()>,
    R: AsyncFnOnce(C, TcpListener, CancellationToken) -> anyhow::Result<()>,
{
    let arguments: Vec<String> = std::env::args().skip(1).take(3).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => run_service(name, prefix, read_config, run),
        ["migrate"] => run_migrations(name, prefix, migrate),
        [wanted, rest @ ..] => {
            let fits =
                |command: &&Command| command.name == *wanted && rest.len() == usize::from(command.argument.is_some());
            match commands.iter().find(fits) {
                Some(command) => (command.run)(name, rest.concat()),
                None => usage(&usage_of(name, commands)),
            }
        }
    }
}

/// The whole `main` of a process without a database.
pub fn main_without_database<C, R>(
    name: &'static str,
    prefix: &str,
    read_config: fn(&mut Environment) -> Option<C>,
    run: R,
) -> ExitCode
where
    R: AsyncFnOnce(C, TcpListener, CancellationToken) -> anyhow::Result<()>,
{
    match std::env::args().nth(1) {
        None => run_service(name, prefix, read_config, run),
        Some(_) => usage(&format!("usage: {name}")),
    }
}

fn usage_of(name: &str, commands: &[Command]) -> String {
    let own = commands.iter().map(|command| match command.argument {
        Some(argument) => format!("{} <{argument}>", command.name),
        None => command.name.to_owned(),
    });
    let arguments: Vec<String> = std::iter::once("migrate".to_owned()).chain(own).collect();
    format!("usage: {name} [{}]", arguments.join("|"))
}

fn run_service<C, R>(
    name: &'static str,
    prefix: &str,
    read_config: fn(&mut Environment) -> Option<C>,
    run: R,
) -> ExitCode
where
    R: AsyncFnOnce(C, TcpListener, CancellationToken) -> anyhow::Result<()>,
{
    let mut environment = Environment::from_process();
    let listen: Option<SocketAddr> = environment.required(&format!("{prefix}_LISTEN"));
    let reuse_port: Option<bool> = environment.or(&format!("{prefix}_REUSE_PORT"), false);
    let telemetry = TelemetryConfig::from_environment(&mut environment);
    let config = read_config(&mut environment);
    let everything = listen.zip(reuse_port).zip(telemetry).zip(config);
    let (((listen, reuse_port), telemetry), config) = match environment.finish(everything) {
        Ok(everything) => everything,
        Err(errors) => return bad_configuration(name, &errors),
    };
    on_runtime(name, telemetry, async move || {
        let shutdown = CancellationToken::new();
        cancel_on_signals(shutdown.clone())?;
        let listener = bind(listen, reuse_port).with_context(|| format!("listening on {listen}"))?;
        tracing::info!(listen = %listen, "starting");
        run(config, listener, shutdown).await
    })
}

fn run_migrations<M>(name: &'static str, prefix: &str, migrate: M) -> ExitCode
where
    M: AsyncFnOnce(&str) -> anyhow::Result<()>,
{
    let url = |environment: &mut Environment| environment.secret(&format!("{prefix}_MIGRATION_DATABASE_URL"));
    run_command(name, url, async move |url: SecretString| {
        migrate(url.expose_secret()).await?;
        tracing::info!("the schema is up to date");
        Ok(())
    })
}

/// Does something that comes to an end, with what it reads from the environment.
pub fn run_command<C, R>(
    name: &'static str,
    read_config: impl FnOnce(&mut Environment) -> Option<C>,
    run: R,
) -> ExitCode
where
    R: AsyncFnOnce(C) -> anyhow::Result<()>,
{
    let mut environment = Environment::from_process();
    let telemetry = TelemetryConfig::from_environment(&mut environment);
    let config = read_config(&mut environment);
    let (telemetry, config) = match environment.finish(telemetry.zip(config)) {
        Ok(everything) => everything,
        Err(errors) => return bad_configuration(name, &errors),
    };
    on_runtime(name, telemetry, async move || run(config).await)
}

fn on_runtime(
    name: &'static str,
    telemetry: TelemetryConfig,
    work: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> ExitCode {
    match try_on_runtime(name, telemetry, work) {
        Ok(code) => code,
        Err(error) => {
            complain(format_args!("{name}: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn try_on_runtime(
    name: &'static str,
    telemetry: TelemetryConfig,
    work: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    // Before anything opens a TLS connection: with two providers compiled in, rustls would panic rather than choose.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let runtime = runtime().context("starting the runtime")?;
    let code = runtime.block_on(async {
        let telemetry = Telemetry::start(name, telemetry)?;
        let code = match work().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the process ends with an error");
                ExitCode::FAILURE
            }
        };
        telemetry.stop().await;
        anyhow::Ok(code)
    })?;
    // Blocking work that is still going on, such as a hash nobody waits for, must not hold the process.
    runtime.shutdown_background();
    Ok(code)
}

/// With `reuse_port`, other processes that say so too may listen on the same port: the kernel deals connections out among
/// them, and one can be restarted while the others serve.
fn bind(listen: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = match listen {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A port whose last connections are still in TIME_WAIT is free.
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(reuse_port)?;
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}

/// One thread: measured faster than a shared pool for services that mostly wait for Postgres.
fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_THREAD_IDLE)
        .build()
}

fn cancel_on_signals(shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "asked to stop");
        shutdown.cancel();
    });
    Ok(())
}

fn bad_configuration(name: &str, errors: &ConfigErrors) -> ExitCode {
    complain(format_args!("{name}: the environment is not right:\n{errors}"));
    ExitCode::from(BAD_CONFIGURATION)
}

fn usage(text: &str) -> ExitCode {
    complain(format_args!("{text}"));
    ExitCode::from(BAD_CONFIGURATION)
}

/// For what happens before there are logs.
fn complain(text: fmt::Arguments<'_>) {
    // There is nowhere left to report that stderr is gone.
    let _ = writeln!(io::stderr(), "{text}");
}
