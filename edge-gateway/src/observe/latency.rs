//! How long requests take, by route, with a trace of the last one in each bucket (OpenMetrics exemplars). Each worker writes
//! numbers of its own, so that no request waits for another; who asks adds them up.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use service::clock;
use time::OffsetDateTime;

const NAME: &str = "edge_request_seconds";
/// The first bucket; each of the next reaches twice as far: 0.25 ms to 8.192 s.
const FIRST_BOUND: Duration = Duration::from_micros(250);
const BOUNDS: usize = 16;
/// One more for what is longer than all bounds.
const BUCKETS: usize = BOUNDS + 1;

/// The latencies of all routes.
pub(super) struct Latencies {
    routes: Vec<RouteName>,
    /// Locked when a worker starts, and when somebody asks.
    workers: Mutex<Vec<Arc<WorkerLatencies>>>,
    /// Locked for requests whose trace somebody records: where that is all of them, recording costs far more.
    exemplars: Vec<Mutex<[Option<Exemplar>; BUCKETS]>>,
}

struct RouteName {
    method: &'static str,
    template: Arc<str>,
}

/// What one worker has measured; only it writes.
pub(super) struct WorkerLatencies(Vec<Latency>);

#[derive(Default)]
pub(super) struct Latency {
    buckets: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
}

struct Exemplar {
    trace_id: String,
    took: Duration,
    at: OffsetDateTime,
}

impl Latencies {
    pub(super) fn new(names: impl Iterator<Item = (&'static str, Arc<str>)>) -> Self {
        let routes: Vec<RouteName> = names.map(|(method, template)| RouteName { method, template }).collect();
        Self {
            exemplars: routes.iter().map(|_| Mutex::default()).collect(),
            routes,
            workers: Mutex::default(),
        }
    }

    pub(super) fn add_worker(&self) -> Arc<WorkerLatencies> {
        let worker = WorkerLatencies(self.routes.iter().map(|_| Latency::default()).collect());
        let worker = Arc::new(worker);
        lock(&self.workers).push(Arc::clone(&worker));
        worker
    }

    /// Keeps the request's trace as the example for its bucket.
    pub(super) fn exemplify(&self, route: usize, took: Duration, trace_id: &str) {
        lock(&self.exemplars[route])[bucket(took)] = Some(Exemplar {
            trace_id: trace_id.to_owned(),
            took,
            at: clock::now(),
        });
    }

    /// The family in OpenMetrics text; routes that nobody has called are left out.
    pub(super) fn write(&self, text: &mut String) {
        // Writing to a string does not fail.
        let _ = self.try_write(text);
    }

    fn try_write(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "# HELP {NAME} Time to the answer's head by route")?;
        writeln!(text, "# TYPE {NAME} histogram")?;
        let workers = lock(&self.workers);
        for (place, name) in self.routes.iter().enumerate() {
            let latencies: Vec<&Latency> = workers.iter().map(|worker| &worker.0[place]).collect();
            let counts: [u64; BUCKETS] = std::array::from_fn(|bucket| sum(&latencies, |one| &one.buckets[bucket]));
            let nanoseconds = sum(&latencies, |one| &one.nanoseconds);
            if counts.iter().any(|count| *count > 0) {
                let exemplars = lock(&self.exemplars[place]);
                name.write(text, &counts, Duration::from_nanos(nanoseconds), &exemplars)?;
            }
        }
        Ok(())
    }
}

impl RouteName {
    fn write(
        &self,
        text: &mut String,
        counts: &[u64; BUCKETS],
        in_all: Duration,
        exemplars: &[Option<Exemplar>; BUCKETS],
    ) -> fmt::Result {
        let labels = format!("method=\"{}\",route=\"{}\"", self.method, self.template);
        let mut count = 0;
        for (bucket, (in_bucket, exemplar)) in counts.iter().zip(exemplars).enumerate() {
            count += in_bucket;
            write!(text, "{NAME}_bucket{{le=\"{}\",{labels}}} {count}", bound(bucket))?;
            if let Some(Exemplar { trace_id, took, at }) = exemplar {
                let at = at.unix_timestamp_nanos() / 1_000_000;
                let (seconds, milliseconds) = (at / 1_000, at % 1_000);
                let took = took.as_secs_f64();
                write!(
                    text,
                    " # {{trace_id=\"{trace_id}\"}} {took} {seconds}.{milliseconds:03}"
                )?;
            }
            text.push('\n');
        }
        writeln!(text, "{NAME}_sum{{{labels}}} {}", in_all.as_secs_f64())?;
        writeln!(text, "{NAME}_count{{{labels}}} {count}")
    }
}

impl WorkerLatencies {
    pub(super) fn routes(&self) -> impl Iterator<Item = &Latency> {
        self.0.iter()
    }

    pub(super) fn note(&self, route: usize, took: Duration) {
        let latency = &self.0[route];
        add(&latency.buckets[bucket(took)], 1);
        add(&latency.nanoseconds, nanoseconds(took));
    }
}

/// Where there is one writer, this is as good as an atomic addition, and a tenth of its price.
fn add(number: &AtomicU64, more: u64) {
    number.store(number.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

fn sum(latencies: &[&Latency], number: impl Fn(&Latency) -> &AtomicU64) -> u64 {
    latencies.iter().map(|one| number(one).load(Ordering::Relaxed)).sum()
}

/// The first whose bound is not exceeded.
fn bucket(took: Duration) -> usize {
    let whole_bounds = nanoseconds(took).saturating_sub(1) / nanoseconds(FIRST_BOUND);
    let doublings = u64::BITS - whole_bounds.leading_zeros();
    (doublings as usize).min(BOUNDS)
}

fn bound(bucket: usize) -> String {
    match bucket {
        BOUNDS => "+Inf".to_owned(),
        finite => FIRST_BOUND.mul_f64(f64::from(1 << finite)).as_secs_f64().to_string(),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A panic of another holder leaves the numbers whole, so its poison is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_ends_its_bucket() {
        for place in 0..BOUNDS {
            let limit = FIRST_BOUND * (1 << place);
            assert_eq!(bound(place).parse::<f64>().unwrap(), limit.as_secs_f64());
            assert_eq!(bucket(limit), place);
            assert_eq!(bucket(limit + Duration::from_nanos(1)), place + 1);
        }
        assert_eq!((bucket(Duration::ZERO), bucket(Duration::MAX)), (0, BOUNDS));
    }

    #[test]
    fn workers_are_added_up_and_each_bucket_has_its_last_trace() {
        let names = [("GET", Arc::from("/v1/books/{id}")), ("POST", Arc::from("/v1/books"))];
        let latencies = Latencies::new(names.into_iter());
        let workers = [latencies.add_worker(), latencies.add_worker()];

        workers[0].note(0, Duration::from_micros(250));
        workers[1].note(0, Duration::from_millis(2));
        workers[1].note(0, Duration::from_secs(60));
        latencies.exemplify(0, Duration::from_micros(1500), "0af7");
        latencies.exemplify(0, Duration::from_millis(2), "b7ad");
        let mut text = String::new();
        latencies.write(&mut text);

        let labels = "method=\"GET\",route=\"/v1/books/{id}\"";
        let starts = [
            format!("edge_request_seconds_bucket{{le=\"0.00025\",{labels}}} 1"),
            format!("edge_request_seconds_bucket{{le=\"0.001\",{labels}}} 1"),
            format!("edge_request_seconds_bucket{{le=\"0.002\",{labels}}} 2 # {{trace_id=\"b7ad\"}} 0.002 "),
            format!("edge_request_seconds_bucket{{le=\"8.192\",{labels}}} 2"),
            format!("edge_request_seconds_bucket{{le=\"+Inf\",{labels}}} 3"),
            format!("edge_request_seconds_sum{{{labels}}} 60.00225"),
            format!("edge_request_seconds_count{{{labels}}} 3"),
        ];
        for start in starts {
            assert!(text.lines().any(|line| line.starts_with(&start)), "{start} in {text}");
        }
        assert!(!text.contains("0af7") && !text.contains("POST"), "{text}");
    }
}
