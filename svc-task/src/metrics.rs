//! What svc-task counts.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
};

use crate::domain::State;

/// Those that somebody watches over; ended tasks are counted as they end.
const OPEN: [State; 4] = [State::Queued, State::Running, State::Retrying, State::Cancelling];

#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    open: Family<StateLabel, Gauge>,
    ended: Family<StateLabel, Counter>,
    claim_latency: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

impl Metrics {
    pub(crate) fn register(registry: &service::metrics::Metrics) -> Metrics {
        let metrics = Metrics {
            open: Family::default(),
            ended: Family::default(),
            // From 5 ms to over 5 minutes.
            claim_latency: Histogram::new(exponential_buckets(0.005, 3.0, 11)),
        };
        registry.register(
            "tasks_open",
            "Tasks that have not ended, by state",
            metrics.open.clone(),
        );
        registry.register("tasks_ended", "Tasks that ended, by state", metrics.ended.clone());
        registry.register(
            "task_claim_latency_seconds",
            "From the moment a task was due until a worker took it",
            metrics.claim_latency.clone(),
        );
        metrics
    }

    pub(crate) fn set_open(&self, counts: &[(String, i64)]) {
        for state in OPEN {
            let name = state.name();
            let found = counts.iter().find(|(counted, _)| counted == name);
            let count = found.map_or(0, |(_, count)| *count);
            self.open.get_or_create(&StateLabel { state: name }).set(count);
        }
    }

    pub(crate) fn count_if_ended(&self, state: State) {
        if state.has_ended() {
            self.ended.get_or_create(&StateLabel { state: state.name() }).inc();
        }
    }

    pub(crate) fn observe_claim(&self, waited: Duration) {
        self.claim_latency.observe(waited.as_secs_f64());
    }
}
