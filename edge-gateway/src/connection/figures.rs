//! Connections, as metrics show them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use service::metrics::Metrics;

use super::activity::Overdue;

pub(crate) struct Figures {
    open: Gauge,
    closed: Family<ReasonLabels, Counter>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

impl Figures {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let (open, closed) = (Gauge::default(), Family::default());
        metrics.register("edge_connections", "Connections of callers", open.clone());
        let help = "Connections that the edge has closed, by what the caller took too long or too many for";
        metrics.register("edge_connections_closed", help, closed.clone());
        Self { open, closed }
    }

    pub(super) fn opened(&self) {
        self.open.inc();
    }

    pub(super) fn ended(&self) {
        self.open.dec();
    }

    pub(super) fn closed(&self, overdue: Overdue) {
        self.count(overdue.name());
    }

    pub(super) fn refused(&self) {
        self.count("address");
    }

    fn count(&self, reason: &'static str) {
        self.closed.get_or_create(&ReasonLabels { reason }).inc();
    }
}
