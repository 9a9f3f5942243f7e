//! What is seen of each request from outside: one log line and two metrics, by route and never by raw path.

mod latency;

use std::cell::RefCell;
use std::sync::Arc;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, HttpResponse};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use service::metrics::Metrics;
use transcode::Routes;

use crate::endpoint::Endpoint;
use crate::exchange::{self, Exchange};
use crate::worker::Worker;
use crate::{cache, own};
use latency::{Latencies, WorkerLatencies};

/// For requests that no route was found for.
const NO_ROUTE: &str = "none";

pub(crate) struct Observations {
    requests: Family<RequestLabels, Counter>,
    latencies: Arc<Latencies>,
}

/// What one worker has seen, with every counter looked up once.
pub(crate) struct Sightings {
    latencies: Arc<WorkerLatencies>,
    /// For each route, those of the methods and statuses that it has answered with.
    requests: RefCell<Vec<Vec<Counted>>>,
}

struct Counted {
    method: &'static str,
    status: u16,
    counter: Counter,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: Arc<str>,
    status: u16,
}

impl Observations {
    pub(crate) fn new(metrics: &Metrics, routes: &Routes, endpoints: &[Endpoint]) -> Self {
        let requests = Family::default();
        metrics.register("edge_requests", "HTTP requests by route and status", requests.clone());
        let names = routes.all().iter().zip(endpoints);
        let names = names.map(|(route, endpoint)| (known_method(&route.http_method), Arc::clone(&endpoint.template)));
        let latencies = Arc::new(Latencies::new(names));
        let shown = Arc::clone(&latencies);
        metrics.write(move |text| shown.write(text));
        Self { requests, latencies }
    }

    /// Room for what one more worker sees.
    pub(crate) fn sightings(&self) -> Sightings {
        let latencies = self.latencies.add_worker();
        let requests = RefCell::new(latencies.routes().map(|_| Vec::new()).collect());
        Sightings { latencies, requests }
    }

    fn counter(&self, method: &'static str, route: Arc<str>, status: u16) -> Counter {
        let labels = RequestLabels { method, route, status };
        self.requests.get_or_create_owned(&labels)
    }
}

impl Sightings {
    fn count(&self, worker: &Worker, route: usize, method: &'static str, status: u16) {
        let mut requests = self.requests.borrow_mut();
        let counted = &mut requests[route];
        let known = counted
            .iter()
            .position(|counted| counted.status == status && counted.method == method);
        let place = known.unwrap_or_else(|| {
            let template = Arc::clone(&worker.edge.endpoints[route].template);
            let counter = worker.edge.observations.counter(method, template, status);
            counted.push(Counted {
                method,
                status,
                counter,
            });
            counted.len() - 1
        });
        counted[place].counter.inc();
    }
}

/// Notes that a request has been answered.
pub(crate) fn answered(worker: &Worker, request: &HttpRequest, exchange: &Exchange, response: &HttpResponse) {
    let method = known_method(request.method().as_str());
    let status = response.status();
    match exchange.route {
        Some(route) => {
            let elapsed = exchange.started.elapsed();
            worker.sightings.count(worker, route, method, status.as_u16());
            worker.sightings.latencies.note(route, elapsed);
            if exchange.is_sampled() {
                let latencies = &worker.edge.observations.latencies;
                latencies.exemplify(route, elapsed, exchange.trace_id());
            }
            let template = &worker.edge.endpoints[route].template;
            log(method, template, request, exchange, response);
        }
        None => {
            let own_path = own::known_path(request.uri().path());
            let name = own_path.unwrap_or(NO_ROUTE);
            let observations = &worker.edge.observations;
            observations.counter(method, Arc::from(name), status.as_u16()).inc();
            // Probes ask every few seconds whether all is well; only when it is not, that is news.
            if own_path.is_none() || !status.is_success() {
                log(method, name, request, exchange, response);
            }
        }
    }
}

/// Nothing in it that a caller may not want to be seen by others: no token, no path, no query.
fn log(method: &str, route: &str, request: &HttpRequest, exchange: &Exchange, response: &HttpResponse) {
    let elapsed = exchange.started.elapsed();
    let request_bytes = exchange::header(request.headers(), CONTENT_LENGTH);
    tracing::info!(
        http.method = method,
        http.route = route,
        http.status = response.status().as_u16(),
        duration_ms = milliseconds(elapsed),
        edge_ms = milliseconds(elapsed.saturating_sub(exchange.upstream)),
        upstream_ms = milliseconds(exchange.upstream),
        attempts = exchange.attempts.get(),
        cache = cache::status_of(response),
        request_bytes = request_bytes.and_then(|bytes| bytes.parse::<u64>().ok()),
        response_bytes = length(response),
        client.address = exchange.client.map(tracing::field::display),
        request.id = exchange.request_id,
        trace_id = exchange.trace_id(),
        "request"
    );
}

/// Nothing for a stream.
fn length(response: &HttpResponse) -> Option<u64> {
    match response.body().size() {
        BodySize::None => Some(0),
        BodySize::Sized(bytes) => Some(bytes),
        BodySize::Stream => None,
    }
}

fn milliseconds(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Callers may send any word as method; metrics must not grow with their fantasy.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("OTHER")
}
