//! What is counted of limits.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use service::metrics::Metrics;

#[derive(Default)]
pub(super) struct Figures {
    refused: Family<LimitLabels, Counter>,
    /// Decisions made without Redis, though they are everybody's.
    pub(super) alone: Counter,
    pub(super) round_trips: Counter,
    pub(super) linked_workers: Gauge,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

impl Figures {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let figures = Self::default();
        metrics.register("edge_limit_refused", "Requests over a limit", figures.refused.clone());
        metrics.register(
            "edge_limit_alone",
            "Limits decided without Redis, by the share of this replica",
            figures.alone.clone(),
        );
        metrics.register(
            "edge_limit_round_trips",
            "Questions to Redis about limits",
            figures.round_trips.clone(),
        );
        metrics.register(
            "edge_limit_linked_workers",
            "Workers whose Redis answers in time",
            figures.linked_workers.clone(),
        );
        figures
    }

    pub(super) fn refused(&self, limit: &'static str) {
        self.refused.get_or_create(&LimitLabels { limit }).inc();
    }
}
