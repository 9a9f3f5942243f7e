//! Metrics of the process in OpenMetrics text.

mod process;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Metric, Registry},
};

pub(crate) use self::process::register as register_process;

/// The registry that the admin port shows; clones share it.
#[derive(Clone, Default)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    families: Arc<Mutex<Vec<WriteFamily>>>,
}

type WriteFamily = Box<dyn Fn(&mut String) + Send + Sync>;

impl Metrics {
    /// An empty registry, beside those that [`crate::Service::start`] makes, for tests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows a metric: a counter, gauge, histogram, or a `Family` of them with labels. Counters get `_total` by themselves.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.registry().register(name, help, metric);
    }

    /// Shows a gauge whose value is asked for at each scrape.
    pub fn observe(&self, name: &'static str, help: &'static str, value: impl Fn() -> f64 + Send + Sync + 'static) {
        self.observe_as(MetricType::Gauge, name, help, value);
    }

    /// Shows a counter whose value is asked for at each scrape; it gets `_total` by itself.
    pub fn observe_counter(
        &self,
        name: &'static str,
        help: &'static str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.observe_as(MetricType::Counter, name, help, value);
    }

    /// Shows what writes itself at each scrape: whole families in OpenMetrics text, for numbers that are kept in ways of
    /// their own.
    pub fn write(&self, write_family: impl Fn(&mut String) + Send + Sync + 'static) {
        self.families().push(Box::new(write_family));
    }

    /// Everything, as a scraper reads it.
    pub fn encode(&self) -> String {
        let mut output = String::new();
        text::encode_registry(&mut output, &self.registry()).expect("writing to a string does not fail");
        for write_family in &*self.families() {
            write_family(&mut output);
        }
        text::encode_eof(&mut output).expect("writing to a string does not fail");
        output
    }

    fn observe_as(
        &self,
        kind: MetricType,
        name: &'static str,
        help: &'static str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.registry().register_collector(Box::new(Observed {
            kind,
            name,
            help,
            value: Box::new(value),
        }));
    }

    /// A panic of another holder leaves the registry whole, so its poison is no reason to stop.
    fn registry(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same holds for the list.
    fn families(&self) -> std::sync::MutexGuard<'_, Vec<WriteFamily>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Observed {
    kind: MetricType,
    name: &'static str,
    help: &'static str,
    value: Box<dyn Fn() -> f64 + Send + Sync>,
}

impl Collector for Observed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let metric = encoder.encode_descriptor(self.name, self.help, None, self.kind)?;
        let value = (self.value)();
        match self.kind {
            MetricType::Counter => ConstCounter::new(value).encode(metric),
            _ => ConstGauge::new(value).encode(metric),
        }
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Observed").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn counters_observed_gauges_and_what_writes_itself_are_shown() {
        let metrics = Metrics::new();
        let counter: Counter = Counter::default();
        metrics.register("events", "Events seen", counter.clone());
        metrics.observe("age_seconds", "Age of the oldest", || 1.5);
        metrics.write(|text| text.push_str("# TYPE own gauge\nown 7\n"));
        counter.inc_by(3);

        let text = metrics.encode();

        assert!(text.contains("events_total 3\n"), "{text}");
        assert!(text.contains("# HELP age_seconds Age of the oldest\n"), "{text}");
        assert!(text.contains("age_seconds 1.5\n"), "{text}");
        assert!(text.ends_with("own 7\n# EOF\n"), "{text}");
    }
}
