//! Whether the edge and what is behind it can serve.

use std::cell::RefCell;
use std::future;
use std::pin::pin;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use serde::Serialize;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::upstream::Connection;
use crate::worker::Worker;

const KEPT: Duration = Duration::from_secs(1);
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// Of the endpoints of one service.
const ASKED_AT_ONCE: usize = 4;

/// The last known state of the services.
#[derive(Default)]
pub(crate) struct Readiness(RefCell<Option<(Instant, Vec<Check>)>>);

#[derive(Clone, Serialize)]
struct Check {
    name: String,
    ok: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    checks: &'a [Check],
}

pub(crate) fn live() -> HttpResponse {
    report(StatusCode::OK, "live", &[])
}

/// The routes are compiled before the port opens.
pub(crate) fn startup() -> HttpResponse {
    report(StatusCode::OK, "started", &[])
}

pub(crate) async fn ready(worker: &Worker) -> HttpResponse {
    if worker.edge.stopping.is_cancelled() {
        return report(StatusCode::SERVICE_UNAVAILABLE, "stopping", &[]);
    }
    let mut checks = worker.readiness.checks(worker).await;
    // Without them every user would be refused.
    checks.push(Check {
        name: "access token keys".to_owned(),
        ok: worker.edge.verifier.has_keys(),
    });
    if checks.iter().all(|check| check.ok) {
        report(StatusCode::OK, "ready", &checks)
    } else {
        report(StatusCode::SERVICE_UNAVAILABLE, "not ready", &checks)
    }
}

impl Readiness {
    async fn checks(&self, worker: &Worker) -> Vec<Check> {
        if let Some((asked, checks)) = self.0.borrow().as_ref()
            && asked.elapsed() < KEPT
        {
            return checks.clone();
        }
        let asked = worker
            .edge
            .upstreams
            .iter()
            .zip(worker.destinations.all())
            .map(|(upstream, endpoints)| async {
                Check {
                    name: upstream.package.clone(),
                    ok: is_any_serving(endpoints).await,
                }
            });
        let checks = join_all(asked).await;
        *self.0.borrow_mut() = Some((Instant::now(), checks.clone()));
        checks
    }
}

/// Whether calls have somewhere to go.
async fn is_any_serving(endpoints: Vec<Connection>) -> bool {
    let answers = stream::iter(endpoints).map(is_serving).buffer_unordered(ASKED_AT_ONCE);
    pin!(answers.filter(|is_serving| future::ready(*is_serving)))
        .next()
        .await
        .is_some()
}

async fn is_serving(connection: Connection) -> bool {
    let mut client = HealthClient::new(connection);
    let answer = tokio::time::timeout(CHECK_TIMEOUT, client.check(HealthCheckRequest::default())).await;
    matches!(answer, Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving)
}

fn report(code: StatusCode, status: &'static str, checks: &[Check]) -> HttpResponse {
    HttpResponse::build(code).json(Report { status, checks })
}
