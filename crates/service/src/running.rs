//! A running process: its metrics, its checks, its tasks, its server, and how all of them stop.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, anyhow};
use futures::{
    FutureExt,
    future::{BoxFuture, FusedFuture},
};
use tokio::{net::TcpListener, task::JoinSet, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    admin::{Admin, Phase},
    config::ServiceConfig,
    identity::Verifier,
    metrics::Metrics,
    routes::Routes,
    rpc,
};

/// Everything is over after this long, done or not, and telemetry has some seconds after that: Kubernetes kills after 30
/// by default.
const STOP_TIMEOUT: Duration = Duration::from_secs(25);

type TaskOutcome = (&'static str, anyhow::Result<()>);

/// The parts of a process that all services share.
pub struct Service {
    name: &'static str,
    metrics: Metrics,
    admin: Arc<Admin>,
    admin_address: SocketAddr,
    health: HealthReporter,
    /// The names that health answers for; the empty one is the process as a whole.
    served: Vec<&'static str>,
    settle: Duration,
    shutdown: CancellationToken,
    /// Ends the admin port, which answers until all the rest has stopped, however this value goes.
    _admin_port: DropGuard,
    tasks: Mutex<JoinSet<TaskOutcome>>,
}

impl Service {
    /// Starts the admin port: `/metrics`, `/health/live`, `/health/ready`, `/health/startup`, `/admin`.
    pub async fn start(
        name: &'static str,
        config: &ServiceConfig,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let metrics = Metrics::new();
        crate::metrics::register_process(&metrics);
        let admin = Arc::new(Admin::new(metrics.clone()));
        let listen = config.admin_listen;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("listening on {listen}"))?;
        let admin_address = listener
            .local_addr()
            .context("asking for the address of the admin port")?;
        let stopped = CancellationToken::new();
        tokio::spawn(Arc::clone(&admin).serve(listener, stopped.clone()));
        Ok(Self {
            name,
            metrics,
            admin,
            admin_address,
            health: HealthReporter::new(),
            served: vec![""],
            settle: config.settle,
            shutdown,
            _admin_port: stopped.drop_guard(),
            tasks: Mutex::default(),
        })
    }

    /// The folder name of the service, such as `svc-task`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where metrics and health are served; the port is a real one, also when the config says 0.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Where metrics are registered.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Cancelled when the process is to stop.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Runs a task that the process cannot do without: when it ends before the shutdown, the process ends with an error.
    /// It must end by itself, soon after the shutdown token is cancelled.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(async move {
            let outcome = std::panic::AssertUnwindSafe(task).catch_unwind().await;
            (name, outcome.unwrap_or_else(|_| Err(anyhow!("panicked"))))
        });
    }

    /// Adds a check that must pass for `/health/ready`; it gets two seconds.
    pub fn add_readiness(
        &self,
        name: &'static str,
        check: impl Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync + 'static,
    ) {
        self.admin.add_check(name, Arc::new(check));
    }

    /// Shows something of the process, as JSON, at a path such as `/admin/routes` of the admin port. `/admin` lists them all.
    pub fn show(
        &self,
        path: &'static str,
        about: &'static str,
        page: impl Fn() -> serde_json::Value + Send + Sync + 'static,
    ) {
        self.admin.add_page(path, about, Arc::new(page));
    }

    /// Answers gRPC calls until the shutdown, then stops gracefully.
    pub async fn serve(mut self, listener: TcpListener, verifier: Verifier, routes: Routes) -> anyhow::Result<()> {
        verifier.start(&self);
        self.served.extend(&routes.names);
        self.report(ServingStatus::Serving).await;
        let server = rpc::Server::new(&self.metrics, self.health.clone(), verifier, routes)?;
        self.run(|drain| server.run(listener, drain)).await
    }

    /// Runs any server until the shutdown, then stops gracefully. The server gets a token that tells it to accept no
    /// more and to finish what it has begun.
    pub async fn run<F>(self, server: impl FnOnce(CancellationToken) -> F) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let drain = CancellationToken::new();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let mut server = std::pin::pin!(server(drain.clone()).fuse());
        self.admin.enter(Phase::Ready);
        tracing::info!("ready");

        let early = tokio::select! {
            // In this order: a task that ends because of the shutdown has not ended early.
            biased;
            () = self.shutdown.cancelled() => Ok(()),
            Some(ended) = tasks.join_next() => Err(ended_early(ended)),
            outcome = &mut server => Err(outcome.err().unwrap_or_else(|| anyhow!("the server ended early"))),
        };
        self.shutdown.cancel();
        self.stop_being_ready().await;

        let finish = async {
            let settle = sleep(self.settle).map(|()| drain.cancel());
            let server = async { if server.is_terminated() { Ok(()) } else { server.await } };
            let ((), server_outcome) = tokio::join!(settle, server);
            let tasks_outcome = join(&mut tasks).await;
            server_outcome.and(tasks_outcome)
        };
        let unfinished = || anyhow!("not done within {} seconds", STOP_TIMEOUT.as_secs());
        let outcome = tokio::time::timeout(STOP_TIMEOUT, finish).await;
        let outcome = outcome.unwrap_or_else(|_| Err(unfinished()));
        match &outcome {
            Ok(()) => tracing::info!("stopped: everything begun was finished"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "stopped with work unfinished"),
        }
        early.and(outcome)
    }

    async fn stop_being_ready(&self) {
        self.admin.enter(Phase::Stopping);
        self.report(ServingStatus::NotServing).await;
        tracing::info!("stopping: no longer ready, finishing what was begun");
    }

    async fn report(&self, status: ServingStatus) {
        for name in &self.served {
            self.health.set_service_status(name, status).await;
        }
    }
}

async fn join(tasks: &mut JoinSet<TaskOutcome>) -> anyhow::Result<()> {
    let mut first_error = Ok(());
    while let Some(joined) = tasks.join_next().await {
        let (name, outcome) = joined.context("waiting for a task")?;
        let outcome = outcome.with_context(|| format!("task `{name}` while stopping"));
        first_error = first_error.and(outcome);
    }
    first_error
}

fn ended_early(joined: Result<TaskOutcome, tokio::task::JoinError>) -> anyhow::Error {
    match joined {
        Ok((name, Err(error))) => error.context(format!("task `{name}` failed")),
        Ok((name, Ok(()))) => anyhow!("task `{name}` ended early"),
        Err(error) => anyhow::Error::new(error).context("a task was lost"),
    }
}
