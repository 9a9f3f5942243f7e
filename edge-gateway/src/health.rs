//! Whether the edge and what is behind it can serve.

use std::cell::RefCell;
use std::future;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared, join_all};
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

/// What is known of the services, and who finds it out: however many ask, the services are asked once a second.
#[derive(Clone, Default)]
pub(crate) struct Readiness(Rc<RefCell<Knowledge>>);

#[derive(Clone, Default)]
enum Knowledge {
    #[default]
    None,
    Asking(Shared<LocalBoxFuture<'static, Checks>>),
    Known(Instant, Checks),
}

type Checks = Rc<[Check]>;

#[derive(Serialize)]
struct Check {
    name: String,
    ok: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    checks: &'a [&'a Check],
}

pub(crate) fn live() -> HttpResponse {
    report(StatusCode::OK, "live", &[])
}

/// The routes are compiled before the port opens.
pub(crate) fn startup() -> HttpResponse {
    report(StatusCode::OK, "started", &[])
}

/// Not behind the flood guard: a load balancer that shares an address with those who flood would take the edge away from everyone.
pub(crate) async fn ready(worker: &Worker) -> HttpResponse {
    if worker.edge.stopping.is_cancelled() {
        return report(StatusCode::SERVICE_UNAVAILABLE, "stopping", &[]);
    }
    let services = worker.readiness.checks(worker).await;
    // Without them every user would be refused.
    let keys = Check {
        name: "access token keys".to_owned(),
        ok: worker.edge.verifier.has_keys(),
    };
    let checks: Vec<&Check> = services.iter().chain([&keys]).collect();
    if checks.iter().all(|check| check.ok) {
        report(StatusCode::OK, "ready", &checks)
    } else {
        report(StatusCode::SERVICE_UNAVAILABLE, "not ready", &checks)
    }
}

impl Readiness {
    async fn checks(&self, worker: &Worker) -> Checks {
        let known = self.0.borrow().clone();
        match known {
            Knowledge::Known(asked, checks) if asked.elapsed() < KEPT => checks,
            Knowledge::Asking(asking) => asking.await,
            Knowledge::None | Knowledge::Known(..) => self.ask(worker).await,
        }
    }

    fn ask(&self, worker: &Worker) -> Shared<LocalBoxFuture<'static, Checks>> {
        let services = worker.edge.upstreams.iter().zip(worker.destinations.all());
        let services: Vec<_> = services
            .map(|(upstream, endpoints)| is_any_serving(upstream.package.clone(), endpoints))
            .collect();
        let readiness = self.clone();
        // In a task of its own, so that it goes on when the caller who asked first hangs up.
        let task = actix_web::rt::spawn(async move {
            let checks = Checks::from(join_all(services).await);
            *readiness.0.borrow_mut() = Knowledge::Known(Instant::now(), Rc::clone(&checks));
            checks
        });
        let asking = task
            .map(|checks| checks.unwrap_or_else(|_| unknown()))
            .boxed_local()
            .shared();
        *self.0.borrow_mut() = Knowledge::Asking(asking.clone());
        asking
    }
}

/// Tasks are lost at the end of their runtime alone.
fn unknown() -> Checks {
    let name = "services".to_owned();
    Rc::new([Check { name, ok: false }])
}

/// Whether calls have somewhere to go.
async fn is_any_serving(name: String, endpoints: Vec<Connection>) -> Check {
    let answers = stream::iter(endpoints).map(is_serving).buffer_unordered(ASKED_AT_ONCE);
    let first = pin!(answers.filter(|is_serving| future::ready(*is_serving)))
        .next()
        .await;
    let ok = first.is_some();
    Check { name, ok }
}

async fn is_serving(connection: Connection) -> bool {
    let mut client = HealthClient::new(connection);
    let answer = tokio::time::timeout(CHECK_TIMEOUT, client.check(HealthCheckRequest::default())).await;
    matches!(answer, Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving)
}

fn report(code: StatusCode, status: &'static str, checks: &[&Check]) -> HttpResponse {
    HttpResponse::build(code).json(Report { status, checks })
}
