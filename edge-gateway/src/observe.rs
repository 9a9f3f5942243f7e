//! What is seen of each request from outside: one log line and two metrics, by route and never by raw path.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use service::metrics::Metrics;

use crate::edge::Edge;
use crate::exchange::Exchange;
use crate::own;

/// For requests that no route was found for.
const NO_ROUTE: &str = "none";

pub(crate) struct Observations {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: Arc<str>,
    status: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RouteLabels {
    route: Arc<str>,
}

impl Observations {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let requests = Family::default();
        let seconds: Family<_, _, fn() -> Histogram> = Family::new_with_constructor(histogram);
        metrics.register("edge_requests", "HTTP requests by route and status", requests.clone());
        metrics.register(
            "edge_request_seconds",
            "Time to the answer's head by route",
            seconds.clone(),
        );
        Self { requests, seconds }
    }

    fn count(&self, method: &'static str, route: Arc<str>, status: u16, elapsed: Duration) {
        let labels = RouteLabels {
            route: Arc::clone(&route),
        };
        self.seconds.get_or_create(&labels).observe(elapsed.as_secs_f64());
        self.requests
            .get_or_create(&RequestLabels { method, route, status })
            .inc();
    }
}

/// 0.25 ms to 8 s.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.00025, 2.0, 16))
}

/// Notes that a request has been answered.
pub(crate) fn answered(edge: &Edge, request: &HttpRequest, exchange: &Exchange, response: &HttpResponse) {
    let elapsed = exchange.started.elapsed();
    let status = response.status();
    let own_path = own::known_path(request.uri().path());
    let route = match exchange.route {
        Some(route) => Arc::clone(&edge.endpoints[route].template),
        None => Arc::from(own_path.unwrap_or(NO_ROUTE)),
    };
    let method = known_method(request.method().as_str());
    edge.observations.count(method, route.clone(), status.as_u16(), elapsed);
    // Probes ask every few seconds whether all is well; only when it is not, that is news.
    if own_path.is_some() && status.is_success() {
        return;
    }
    tracing::info!(
        http.method = method,
        http.route = &*route,
        http.status = status.as_u16(),
        duration_ms = elapsed.as_secs_f64() * 1e3,
        upstream_ms = exchange.upstream.as_secs_f64() * 1e3,
        request.id = exchange.request_id,
        trace_id = exchange.trace_id(),
        "request"
    );
}

/// Callers may send any word as method; metrics must not grow with their fantasy.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("OTHER")
}
