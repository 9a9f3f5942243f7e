//! What is counted of the cache.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use service::metrics::Metrics;

use crate::cache::Cache;

/// Each counter is looked up once: a hit costs one addition.
pub(super) struct Figures {
    pub(super) hits: Counter,
    pub(super) stale: Counter,
    pub(super) misses: Counter,
    pub(super) collapsed: Counter,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

impl Figures {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let answers: Family<Labels, Counter> = Family::default();
        metrics.register(
            "edge_cache_answers",
            "Reads that may be kept, by what the cache had",
            answers.clone(),
        );
        let counter = |outcome| answers.get_or_create_owned(&Labels { outcome });
        Self {
            hits: counter("hit"),
            stale: counter("stale"),
            misses: counter("miss"),
            collapsed: counter("collapsed"),
        }
    }
}

pub(super) fn observe(cache: &Arc<Cache>, metrics: &Metrics) {
    let (kept, fed) = (Arc::clone(cache), Arc::clone(cache));
    metrics.observe("edge_cache_bytes", "Memory that kept answers take", move || {
        kept.store.bytes() as f64
    });
    metrics.observe(
        "edge_cache_events_connected",
        "Whether events tell what has changed",
        move || f64::from(u8::from(fed.generations.is_connected())),
    );
}
