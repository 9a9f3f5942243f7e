//! The admin port: metrics, health and what else a process shows of itself, for operators, scrapers and the orchestrator alone.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type ShowPage = Arc<dyn Fn() -> Value + Send + Sync>;
type Check = Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// How far the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    Starting,
    Ready,
    Stopping,
}

pub(crate) struct Admin {
    metrics: Metrics,
    phase: AtomicU8,
    checks: Mutex<Vec<(&'static str, Check)>>,
    pages: Mutex<Vec<Page>>,
}

/// What the process shows of itself at a path below `/admin/`.
struct Page {
    path: &'static str,
    about: &'static str,
    show: ShowPage,
}

impl Admin {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            phase: AtomicU8::new(Phase::Starting as u8),
            checks: Mutex::default(),
            pages: Mutex::default(),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(crate) fn add_check(&self, name: &'static str, check: Check) {
        self.checks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((name, check));
    }

    pub(crate) fn add_page(&self, path: &'static str, about: &'static str, show: ShowPage) {
        self.pages().push(Page { path, about, show });
    }

    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, stopped: CancellationToken) {
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/health/live", get(live))
            .route("/health/startup", get(startup))
            .route("/health/ready", get(ready))
            .route("/admin", get(index))
            .route("/admin/{name}", get(page))
            .with_state(self);
        let server = axum::serve(listener, router).with_graceful_shutdown(stopped.cancelled_owned());
        if let Err(error) = server.await {
            tracing::error!(error = %error, "the admin port failed");
        }
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Relaxed) == phase as u8
    }

    fn pages(&self) -> MutexGuard<'_, Vec<Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run_checks(&self) -> Vec<(&'static str, anyhow::Result<()>)> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let outcomes = checks.into_iter().map(|(name, check)| async move {
            let outcome = tokio::time::timeout(CHECK_TIMEOUT, check()).await;
            (
                name,
                outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", CHECK_TIMEOUT.as_secs()))),
            )
        });
        join_all(outcomes).await
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, OPEN_METRICS)], admin.metrics.encode())
}

async fn index(State(admin): State<Arc<Admin>>) -> Response {
    let pages = admin.pages();
    let pages = pages.iter().map(|page| json!({"path": page.path, "about": page.about}));
    answer(StatusCode::OK, &pages.collect())
}

async fn page(State(admin): State<Arc<Admin>>, uri: Uri) -> Response {
    let pages = admin.pages();
    let show = pages.iter().find(|page| page.path == uri.path());
    let show = show.map(|page| Arc::clone(&page.show));
    drop(pages);
    match show {
        Some(show) => answer(StatusCode::OK, &show()),
        None => answer(StatusCode::NOT_FOUND, &json!({"error": "there is no such page"})),
    }
}

async fn live() -> Response {
    answer(StatusCode::OK, &json!({"status": "live"}))
}

async fn startup(State(admin): State<Arc<Admin>>) -> Response {
    if admin.is(Phase::Starting) {
        return answer(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "starting"}));
    }
    answer(StatusCode::OK, &json!({"status": "started"}))
}

async fn ready(State(admin): State<Arc<Admin>>) -> Response {
    if !admin.is(Phase::Ready) {
        let status = if admin.is(Phase::Starting) {
            "starting"
        } else {
            "stopping"
        };
        return answer(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": status}));
    }
    let outcomes = admin.run_checks().await;
    let all_pass = outcomes.iter().all(|(_, outcome)| outcome.is_ok());
    let checks: Vec<Value> = outcomes.iter().map(|(name, outcome)| describe(name, outcome)).collect();
    let (code, status) = if all_pass {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    answer(code, &json!({"status": status, "checks": checks}))
}

fn describe(name: &str, outcome: &anyhow::Result<()>) -> Value {
    match outcome {
        Ok(()) => json!({"name": name, "ok": true}),
        Err(error) => json!({"name": name, "ok": false, "error": format!("{error:#}")}),
    }
}

fn answer(code: StatusCode, body: &Value) -> Response {
    (code, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
