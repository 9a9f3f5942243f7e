//! What is seen of the breakers and limits from outside. Each worker writes its own numbers, so that workers never wait for
//! one another; who asks adds them up.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde::Serialize;
use service::metrics::Metrics;

use super::breaker::Phase;
use crate::policy::RateClass;

/// The numbers of all workers, and the counters that they share; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Figures(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    upstreams: Vec<String>,
    /// Locked when a worker starts, and when somebody asks.
    workers: Mutex<Vec<Arc<WorkerFigures>>>,
    transitions: Family<TransitionLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    second_attempts: Family<SecondAttemptLabels, Counter>,
}

/// What one worker says; only it writes.
#[derive(Debug)]
pub(super) struct WorkerFigures(Vec<UpstreamFigures>);

#[derive(Default, Debug)]
struct UpstreamFigures {
    phases: [AtomicU8; RateClass::ALL.len()],
    under_way: AtomicU32,
    limit: AtomicU32,
}

/// How it is with one upstream, over all workers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct UpstreamState {
    pub(crate) upstream: String,
    /// Calls that are under way.
    pub(crate) calls: u32,
    /// How many may be under way.
    pub(crate) limit: u32,
    pub(crate) breakers: Vec<BreakerState>,
}

/// In how many workers the breaker of a group is in which state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct BreakerState {
    pub(crate) group: &'static str,
    pub(crate) closed: u32,
    pub(crate) open: u32,
    pub(crate) half_open: u32,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct TransitionLabels {
    upstream: String,
    group: &'static str,
    to: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RefusalLabels {
    upstream: String,
    group: &'static str,
    reason: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct SecondAttemptLabels {
    upstream: String,
    kind: &'static str,
}

/// Why a call was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    BreakerOpen,
    Overloaded,
    /// The caller has as much under way as one caller may.
    CallerShare,
}

/// What becomes of the wish to send a call a second time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SecondAttempt {
    Retry,
    Hedge,
    /// The budget was used up.
    Saved,
}

impl Figures {
    pub(crate) fn new(metrics: &Metrics, upstreams: Vec<String>) -> Self {
        let figures = Self(Arc::new(Shared {
            upstreams,
            workers: Mutex::default(),
            transitions: Family::default(),
            refusals: Family::default(),
            second_attempts: Family::default(),
        }));
        let shared = &figures.0;
        metrics.register(
            "edge_breaker_transitions",
            "Changes of a breaker's state by upstream, group and new state",
            shared.transitions.clone(),
        );
        metrics.register(
            "edge_refused_calls",
            "Calls that the edge did not make, by upstream, group and reason",
            shared.refusals.clone(),
        );
        metrics.register(
            "edge_second_attempts",
            "Calls sent a second time, or not for want of budget, by upstream",
            shared.second_attempts.clone(),
        );
        for (name, help, part) in [
            ("edge_breaker_state", "Workers by state of their breaker", Part::Phases),
            ("edge_upstream_calls", "Calls under way", Part::UnderWay),
            (
                "edge_upstream_limit",
                "Calls that may be under way at once",
                Part::Limit,
            ),
        ] {
            let gauges = Gauges {
                figures: figures.clone(),
                part,
            };
            metrics.register(name, help, gauges);
        }
        figures
    }

    /// How many services there are.
    pub(super) fn services(&self) -> usize {
        self.0.upstreams.len()
    }

    /// Room for the numbers of one more worker, which begins with this limit for each service.
    pub(super) fn add_worker(&self, limit: u32) -> Arc<WorkerFigures> {
        let upstreams = self.0.upstreams.iter().map(|_| UpstreamFigures {
            limit: AtomicU32::new(limit),
            ..UpstreamFigures::default()
        });
        let worker = Arc::new(WorkerFigures(upstreams.collect()));
        self.workers().push(Arc::clone(&worker));
        worker
    }

    /// How it is with each upstream.
    pub(crate) fn snapshot(&self) -> Vec<UpstreamState> {
        let workers = self.workers();
        let upstreams = self.0.upstreams.iter().enumerate();
        let state = |(place, name): (usize, &String)| {
            let figures: Vec<&UpstreamFigures> = workers.iter().map(|worker| &worker.0[place]).collect();
            UpstreamState {
                upstream: name.clone(),
                calls: figures
                    .iter()
                    .map(|figures| figures.under_way.load(Ordering::Relaxed))
                    .sum(),
                limit: figures
                    .iter()
                    .map(|figures| figures.limit.load(Ordering::Relaxed))
                    .sum(),
                breakers: RateClass::ALL.map(|group| BreakerState::of(group, &figures)).to_vec(),
            }
        };
        upstreams.map(state).collect()
    }

    /// Counts and logs that one worker's breaker has changed.
    pub(super) fn transition(&self, upstream: usize, group: RateClass, from: Phase, to: Phase) {
        let upstream_name = self.0.upstreams[upstream].as_str();
        let (group_name, from, to_name) = (group.name(), from.name(), to.name());
        match to {
            Phase::Open => tracing::warn!(
                upstream = upstream_name,
                group = group_name,
                from,
                to = to_name,
                "breaker opened, the service is left alone"
            ),
            Phase::HalfOpen | Phase::Closed => {
                tracing::info!(
                    upstream = upstream_name,
                    group = group_name,
                    from,
                    to = to_name,
                    "breaker changed"
                );
            }
        }
        let labels = TransitionLabels {
            upstream: self.0.upstreams[upstream].clone(),
            group: group.name(),
            to: to.name(),
        };
        self.0.transitions.get_or_create(&labels).inc();
    }

    pub(super) fn count_refusal(&self, upstream: usize, group: RateClass, refusal: Refusal) {
        let labels = RefusalLabels {
            upstream: self.0.upstreams[upstream].clone(),
            group: group.name(),
            reason: match refusal {
                Refusal::BreakerOpen => "breaker_open",
                Refusal::Overloaded => "overloaded",
                Refusal::CallerShare => "caller_share",
            },
        };
        self.0.refusals.get_or_create(&labels).inc();
    }

    pub(super) fn count_second_attempt(&self, upstream: usize, attempt: SecondAttempt) {
        let labels = SecondAttemptLabels {
            upstream: self.0.upstreams[upstream].clone(),
            kind: match attempt {
                SecondAttempt::Retry => "retry",
                SecondAttempt::Hedge => "hedge",
                SecondAttempt::Saved => "no_budget",
            },
        };
        self.0.second_attempts.get_or_create(&labels).inc();
    }

    /// A panic of another holder leaves the list whole, so its poison is no reason to stop.
    fn workers(&self) -> std::sync::MutexGuard<'_, Vec<Arc<WorkerFigures>>> {
        self.0.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkerFigures {
    pub(super) fn set_phase(&self, upstream: usize, group: RateClass, phase: Phase) {
        self.0[upstream].phases[group.place()].store(phase.number(), Ordering::Relaxed);
    }

    pub(super) fn set_calls(&self, upstream: usize, under_way: u32, limit: u32) {
        self.0[upstream].under_way.store(under_way, Ordering::Relaxed);
        self.0[upstream].limit.store(limit, Ordering::Relaxed);
    }
}

impl BreakerState {
    fn of(group: RateClass, workers: &[&UpstreamFigures]) -> Self {
        let numbers = workers
            .iter()
            .map(|figures| figures.phases[group.place()].load(Ordering::Relaxed));
        let in_phase = |phase: Phase| numbers.clone().filter(|number| *number == phase.number()).count() as u32;
        Self {
            group: group.name(),
            closed: in_phase(Phase::Closed),
            open: in_phase(Phase::Open),
            half_open: in_phase(Phase::HalfOpen),
        }
    }
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }

    /// Zero, with which a worker's numbers begin, is closed.
    fn number(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Open => 1,
            Self::HalfOpen => 2,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Phases,
    UnderWay,
    Limit,
}

/// A gauge with labels, worked out when it is asked for.
#[derive(Debug)]
struct Gauges {
    figures: Figures,
    part: Part,
}

impl EncodeMetric for Gauges {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        for state in self.figures.snapshot() {
            let upstream = state.upstream.as_str();
            match self.part {
                Part::UnderWay => encode_gauge(&mut encoder, &[("upstream", upstream)], state.calls)?,
                Part::Limit => encode_gauge(&mut encoder, &[("upstream", upstream)], state.limit)?,
                Part::Phases => {
                    for breaker in &state.breakers {
                        breaker.encode(&mut encoder, upstream)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

impl BreakerState {
    fn encode(&self, encoder: &mut MetricEncoder<'_>, upstream: &str) -> Result<(), fmt::Error> {
        let states = [
            ("closed", self.closed),
            ("open", self.open),
            ("half_open", self.half_open),
        ];
        for (state, workers) in states {
            let labels = [("upstream", upstream), ("group", self.group), ("state", state)];
            encode_gauge(encoder, &labels, workers)?;
        }
        Ok(())
    }
}

fn encode_gauge(encoder: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, value: u32) -> Result<(), fmt::Error> {
    encoder.encode_family(labels)?.encode_gauge(&value)
}
