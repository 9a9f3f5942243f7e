//! How often callers may call. A flood guard for each address comes first, in this process alone; then the limit of the
//! route's class, which all replicas share through Redis, from which tokens are leased (ADR 9). The rate limit of a caller
//! is one [`bucket`], the rule is [`crate::gcra`], and [`link`] is the way to Redis.

mod bucket;
mod buckets;
mod figures;
mod key;
mod link;
mod settings;
mod standing;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use redis::{Client, ConnectionInfo, ProtocolVersion};
use service::metrics::Metrics;

use crate::edge::Edge;
use crate::exchange::Exchange;
use crate::gcra::Micros;
use crate::policy::Policy;
use crate::problem::Problem;
use crate::worker::Worker;
use bucket::{Ask, Decision, Step};
use buckets::Buckets;
use figures::Figures;
use key::{Key, Meter};
use link::Outage;
use settings::Rule;

pub(crate) use key::Subject;
pub(crate) use link::Link;
pub use settings::LimitSettings;
pub(crate) use standing::Standing;

/// What the workers share of limits.
pub(crate) struct Limiter {
    buckets: Buckets,
    /// The zero of the clock of the buckets.
    started: Instant,
    redis: Option<Client>,
    outage: Arc<Outage>,
    figures: Arc<Figures>,
}

impl Limiter {
    pub(crate) fn new(redis: Option<ConnectionInfo>, metrics: &Metrics, started: Instant) -> anyhow::Result<Self> {
        let redis = redis.map(|info| {
            let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            Client::open(info.set_redis_settings(settings))
        });
        let redis = redis.transpose()?;
        if redis.is_none() {
            tracing::info!("no redis is named, limits count for this replica alone");
        }
        Ok(Self {
            buckets: Buckets::default(),
            started,
            redis,
            outage: Arc::default(),
            figures: Arc::new(Figures::new(metrics)),
        })
    }

    /// A worker's line to Redis. Must run on its own runtime.
    pub(crate) fn link(&self) -> Link {
        Link::start(self.redis.clone(), &self.outage, &self.figures)
    }

    /// For operators.
    pub(crate) fn state(&self) -> serde_json::Value {
        serde_json::json!({
            "is_configured": self.redis.is_some(),
            "linked_workers": self.figures.linked_workers.get(),
            "round_trips": self.figures.round_trips.get(),
            "decided_alone": self.figures.alone.get(),
        })
    }

    fn at(&self, moment: Instant) -> Micros {
        u64::try_from(moment.saturating_duration_since(self.started).as_micros()).unwrap_or(u64::MAX)
    }
}

/// Refuses who sends more than anybody has reason to, before anything is spent on the request.
pub(crate) fn guard(edge: &Edge, exchange: &mut Exchange) -> Result<(), Problem> {
    let limiter = &edge.limiter;
    let settings = edge.settings.load();
    let rule = &settings.limits.flood;
    let key = Key {
        subject: Subject::of_address(exchange.client),
        meter: Meter::Flood,
    };
    let now = limiter.at(exchange.started);
    let refused = limiter
        .buckets
        .with(key, now, |bucket| match bucket.decide_alone(rule.rate, 1, 1, now) {
            Decision::Allowed => None,
            refused @ Decision::Refused { .. } => Some((refused, Standing::of(bucket, rule, now))),
        });
    match refused {
        None => Ok(()),
        Some((decision, standing)) => conclude(limiter, rule, exchange, decision, standing),
    }
}

/// Counts a call against its caller's limit.
pub(crate) async fn take(
    worker: &Rc<Worker>,
    subject: Subject,
    policy: &Policy,
    exchange: &mut Exchange,
) -> Result<(), Problem> {
    let limiter = &worker.edge.limiter;
    let settings = worker.edge.settings.load();
    let rule = settings.limits.rule(subject, policy.rate_class);
    let key = Key {
        subject,
        meter: Meter::Calls(policy.rate_class),
    };
    let now = limiter.at(exchange.started);
    if !worker.link.is_up() {
        let (decision, standing) = alone(limiter, rule, settings.limits.replicas, key, policy.cost);
        return conclude(limiter, rule, exchange, decision, standing);
    }
    let (step, refill, standing) = limiter.buckets.with(key, now, |bucket| {
        let step = bucket.decide(rule, policy.cost, now);
        let refill = match step {
            Step::Decided(Decision::Allowed) => bucket.refill(rule, now),
            Step::Decided(Decision::Refused { .. }) | Step::Ask(_) => None,
        };
        (step, refill, Standing::of(bucket, rule, now))
    });
    if let Some(ask) = refill {
        let (worker, rule) = (Rc::clone(worker), rule.clone());
        actix_web::rt::spawn(async move { ask_redis(&worker, &rule, key, ask).await });
    }
    let (decision, standing) = match step {
        Step::Decided(decision) => (decision, standing),
        Step::Ask(ask) => match ask_redis(worker, rule, key, ask).await {
            Some(answered) => answered,
            None => alone(limiter, rule, settings.limits.replicas, key, policy.cost),
        },
    };
    conclude(limiter, rule, exchange, decision, standing)
}

/// Nothing when Redis does not answer in time.
async fn ask_redis(worker: &Worker, rule: &Rule, key: Key, ask: Ask) -> Option<(Decision, Standing)> {
    let limiter = &worker.edge.limiter;
    let taken = worker.link.take(key, rule.rate, ask).await;
    let now = limiter.at(Instant::now());
    limiter.buckets.with(key, now, |bucket| match taken {
        Some(taken) => {
            let decision = bucket.learn(rule, ask, taken, now);
            Some((decision, Standing::of(bucket, rule, now)))
        }
        None => {
            bucket.end_lease(ask);
            None
        }
    })
}

fn alone(limiter: &Limiter, rule: &Rule, replicas: u32, key: Key, cost: u32) -> (Decision, Standing) {
    limiter.figures.alone.inc();
    let now = limiter.at(Instant::now());
    limiter.buckets.with(key, now, |bucket| {
        let decision = bucket.decide_alone(rule.rate, replicas, cost, now);
        (decision, Standing::of(bucket, rule, now))
    })
}

fn conclude(
    limiter: &Limiter,
    rule: &Rule,
    exchange: &mut Exchange,
    decision: Decision,
    standing: Standing,
) -> Result<(), Problem> {
    exchange.standing = Some(standing);
    if matches!(decision, Decision::Refused { .. }) {
        limiter.figures.refused(rule.name);
    }
    standing::outcome(decision, rule)
}
