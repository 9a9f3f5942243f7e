//! What is counted of every call.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use tonic::Code;

use crate::{metrics::Metrics, policy::Method};

/// From half a millisecond to ten seconds, closest where the promises are: 1, 5, 10 and 50 ms.
const LATENCY_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];
const CODES: usize = 17;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    service: String,
    method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    service: String,
    method: String,
    code: &'static str,
}

/// The figures of all RPCs.
#[derive(Clone)]
pub(super) struct Figures {
    handled: Family<CodeLabels, Counter>,
    seconds: Family<MethodLabels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
}

/// The figures of one RPC. They are found at its first call and kept, because looking labels up costs more than
/// counting, and because RPCs of other services have no place in the list.
pub(super) struct Rpc {
    labels: MethodLabels,
    figures: Figures,
    handled: [OnceLock<Counter>; CODES],
    seconds: OnceLock<Histogram>,
}

/// One call, from its first byte to its last.
pub(super) struct Observation {
    rpc: Arc<Rpc>,
    started: Instant,
    finished: bool,
}

impl Figures {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(LATENCY_BUCKETS);
        let figures = Self {
            handled: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            in_flight: Gauge::default(),
        };
        metrics.register("grpc_server_handled", "Calls that have ended", figures.handled.clone());
        metrics.register(
            "grpc_server_handling_seconds",
            "Time from call to end",
            figures.seconds.clone(),
        );
        metrics.register("grpc_server_in_flight", "Calls that go on", figures.in_flight.clone());
        figures
    }

    pub(super) fn in_flight(&self) -> i64 {
        self.in_flight.get()
    }

    pub(super) fn of(&self, method: &Method) -> Arc<Rpc> {
        Arc::new(Rpc {
            labels: MethodLabels {
                service: method.service.clone(),
                method: method.name.clone(),
            },
            figures: self.clone(),
            handled: [const { OnceLock::new() }; CODES],
            seconds: OnceLock::new(),
        })
    }
}

impl Rpc {
    pub(super) fn begin(self: &Arc<Self>) -> Observation {
        self.figures.in_flight.inc();
        Observation {
            rpc: Arc::clone(self),
            started: Instant::now(),
            finished: false,
        }
    }

    fn count(&self, code: Code, seconds: f64) {
        self.handled[code as usize].get_or_init(|| self.counter(code)).inc();
        self.seconds
            .get_or_init(|| self.figures.seconds.get_or_create_owned(&self.labels))
            .observe(seconds);
    }

    fn counter(&self, code: Code) -> Counter {
        let labels = CodeLabels {
            service: self.labels.service.clone(),
            method: self.labels.method.clone(),
            code: name(code),
        };
        self.figures.handled.get_or_create_owned(&labels)
    }
}

impl Observation {
    /// Notes how the call ended; the first word counts.
    pub(super) fn finish(&mut self, code: Code) {
        if !self.finished {
            self.finished = true;
            self.rpc.figures.in_flight.dec();
            self.rpc.count(code, self.started.elapsed().as_secs_f64());
        }
    }
}

/// A call whose end nobody waited for.
impl Drop for Observation {
    fn drop(&mut self) {
        self.finish(Code::Cancelled);
    }
}

/// As the gRPC specification spells it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
