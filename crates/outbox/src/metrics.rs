//! What the outbox and the consumers of a process count.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

/// The counters and gauges of a process: made once, handed to its relay and its consumers.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    unpublished: Gauge,
    oldest_unpublished_age: Gauge<f64, AtomicU64>,
    published: Counter,
    handled: Family<HandledLabels, Counter>,
    lag: Family<ConsumerLabels, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConsumerLabels {
    consumer: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandledLabels {
    consumer: &'static str,
    outcome: &'static str,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Applied,
    Duplicate,
    OwnerDeleted,
    Retried,
    DeadLettered,
}

impl Metrics {
    /// Shows them in the registry: once per process.
    pub fn register(registry: &service::metrics::Metrics) -> Metrics {
        let metrics = Metrics::default();
        registry.register(
            "outbox_unpublished",
            "Events that wait to be published",
            metrics.unpublished.clone(),
        );
        registry.register(
            "outbox_oldest_unpublished_age_seconds",
            "How long the oldest unpublished event has waited",
            metrics.oldest_unpublished_age.clone(),
        );
        registry.register("outbox_published", "Events published", metrics.published.clone());
        registry.register(
            "consumer_handled",
            "Deliveries handled, by consumer and outcome",
            metrics.handled.clone(),
        );
        registry.register(
            "consumer_lag",
            "Events of the stream that a consumer has not been given yet",
            metrics.lag.clone(),
        );
        metrics
    }

    pub(crate) fn set_unpublished(&self, count: i64, oldest_age: Duration) {
        self.unpublished.set(count);
        self.oldest_unpublished_age.set(oldest_age.as_secs_f64());
    }

    pub(crate) fn add_published(&self, count: usize) {
        self.published.inc_by(count as u64);
    }

    pub(crate) fn count_handled(&self, consumer: &'static str, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Applied => "applied",
            Outcome::Duplicate => "duplicate",
            Outcome::OwnerDeleted => "owner_deleted",
            Outcome::Retried => "retried",
            Outcome::DeadLettered => "dead_lettered",
        };
        self.handled.get_or_create(&HandledLabels { consumer, outcome }).inc();
    }

    pub(crate) fn set_lag(&self, consumer: &'static str, pending: u64) {
        let pending = i64::try_from(pending).unwrap_or(i64::MAX);
        self.lag.get_or_create(&ConsumerLabels { consumer }).set(pending);
    }
}
