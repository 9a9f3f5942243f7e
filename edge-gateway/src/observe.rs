//! What is seen of each request from outside: one log line and two metrics, by route and never by raw path.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use service::metrics::Metrics;

use crate::edge::Edge;
use crate::exchange::Exchange;

/// For requests that no route was found for.
const NO_ROUTE: &str = "none";

pub(crate) struct Observations {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RouteLabels {
    route: String,
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
}

/// 0.25 ms to 8 s.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.00025, 2.0, 16))
}

/// Notes that a request has been answered.
pub(crate) fn answered(edge: &Edge, request: &HttpRequest, exchange: &Exchange, response: &HttpResponse) {
    let route = exchange.route.map_or(NO_ROUTE, |route| &edge.endpoints[route].template);
    let method = known_method(request.method().as_str());
    let elapsed = exchange.started.elapsed();
    let labels = RequestLabels {
        method: method.to_owned(),
        route: route.to_owned(),
        status: response.status().as_u16(),
    };
    edge.observations.requests.get_or_create(&labels).inc();
    edge.observations
        .seconds
        .get_or_create(&RouteLabels {
            route: route.to_owned(),
        })
        .observe(elapsed.as_secs_f64());
    if response.status() >= StatusCode::INTERNAL_SERVER_ERROR {
        tracing::warn!(
            http.method = method,
            http.route = route,
            http.status = response.status().as_u16(),
            duration_ms = elapsed.as_secs_f64() * 1e3,
            upstream_ms = exchange.upstream.as_secs_f64() * 1e3,
            request.id = exchange.request_id,
            "request failed"
        );
    } else {
        tracing::info!(
            http.method = method,
            http.route = route,
            http.status = response.status().as_u16(),
            duration_ms = elapsed.as_secs_f64() * 1e3,
            upstream_ms = exchange.upstream.as_secs_f64() * 1e3,
            request.id = exchange.request_id,
            "request"
        );
    }
}

/// Callers may send any word as method; metrics must not grow with their fantasy.
fn known_method(method: &str) -> &str {
    match method {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method,
        _ => "OTHER",
    }
}
