//! A bucket as one edge knows it. Redis has the bucket itself; here is what the edge may give without asking: tokens that it
//! has leased, and refusals that still hold. Without Redis, the edge keeps its share of the bucket here.

use super::settings::Rule;
use crate::gcra::{Micros, Rate, Taken, take};

/// Callers who come again within this time are worth a lease.
const HOT: Micros = 1_000_000;
/// A lease that is not here by then is not coming: Redis gets a few milliseconds, and whoever asked may be gone.
const LEASE_TIMEOUT: Micros = 50_000;

#[derive(Default)]
pub(super) struct Bucket {
    /// When the bucket is full again, as last heard.
    full_at: Micros,
    /// Tokens that were taken from Redis and not yet given to anybody.
    held: u32,
    /// How many to lease at a time: more while they are used up fast.
    lease: u32,
    asked_at: Option<Micros>,
    /// One lease is under way at a time, or many requests at once would each take one.
    leasing_until: Micros,
    refusal: Option<Refusal>,
}

/// What Redis has refused. Until then, whatever costs at least so much is refused, unless the limit has changed.
struct Refusal {
    rate: Rate,
    cost: u32,
    until: Micros,
}

/// What the edge wants of Redis: tokens for one call, and a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ask {
    pub(super) cost: u32,
    pub(super) extra: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Decision {
    Allowed,
    Refused { retry_in: Micros },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Decided(Decision),
    Ask(Ask),
}

impl Bucket {
    /// Decides, when that can be done here.
    pub(super) fn decide(&mut self, rule: &Rule, cost: u32, now: Micros) -> Step {
        let cost = rule.rate.payable(cost);
        if self.spend(cost) {
            return Step::Decided(Decision::Allowed);
        }
        if let Some(refusal) = &self.refusal
            && refusal.holds(rule.rate, cost, now)
        {
            let retry_in = refusal.until - now;
            return Step::Decided(Decision::Refused { retry_in });
        }
        let extra = self.begin_lease(rule, now);
        Step::Ask(Ask { cost, extra })
    }

    /// What to ask for beforehand, so that nobody has to wait for the next lease.
    pub(super) fn refill(&mut self, rule: &Rule, now: Micros) -> Option<Ask> {
        if self.held >= self.lease.div_ceil(2) {
            return None;
        }
        let extra = self.begin_lease(rule, now);
        (extra > 0).then_some(Ask { cost: 0, extra })
    }

    /// Takes in what Redis has answered.
    pub(super) fn learn(&mut self, rule: &Rule, ask: Ask, taken: Taken, now: Micros) -> Decision {
        self.full_at = now + taken.full_in;
        self.end_lease(ask);
        if taken.granted < ask.cost {
            self.refusal = Some(Refusal {
                rate: rule.rate,
                cost: ask.cost,
                until: now + taken.retry_in,
            });
            let retry_in = taken.retry_in;
            return Decision::Refused { retry_in };
        }
        let leased = taken.granted - ask.cost;
        if leased < ask.extra {
            self.lease = leased;
        }
        self.held = (self.held + leased).min(rule.most_leased);
        Decision::Allowed
    }

    /// Notes that Redis has not answered.
    pub(super) fn end_lease(&mut self, ask: Ask) {
        if ask.extra > 0 {
            self.leasing_until = 0;
        }
    }

    /// Decides without Redis, within the share of one of `replicas`. It goes on from what Redis last said: who had used up
    /// a limit does not get another one.
    pub(super) fn decide_alone(&mut self, rate: Rate, replicas: u32, cost: u32, now: Micros) -> Decision {
        let share = rate.share(replicas);
        let cost = share.payable(cost);
        if self.spend(cost) {
            return Decision::Allowed;
        }
        let taken = take(share, &mut self.full_at, now, cost, 0);
        if taken.granted > 0 {
            Decision::Allowed
        } else {
            let retry_in = taken.retry_in;
            Decision::Refused { retry_in }
        }
    }

    /// How many tokens there are, as far as is known here.
    pub(super) fn remaining(&self, rate: Rate, now: Micros) -> u32 {
        (self.held + rate.available(self.full_at, now)).min(rate.burst)
    }

    pub(super) fn full_in(&self, now: Micros) -> Micros {
        self.full_at.saturating_sub(now)
    }

    /// Whether forgetting it changes nothing but the tokens held, which a full bucket makes up for.
    pub(super) fn is_idle(&self, now: Micros) -> bool {
        self.full_at <= now && self.leasing_until <= now
    }

    fn spend(&mut self, cost: u32) -> bool {
        let is_enough = self.held >= cost;
        if is_enough {
            self.held -= cost;
        }
        is_enough
    }

    fn begin_lease(&mut self, rule: &Rule, now: Micros) -> u32 {
        if now < self.leasing_until {
            return 0;
        }
        let is_hot = self.asked_at.is_some_and(|asked_at| now.saturating_sub(asked_at) < HOT);
        self.asked_at = Some(now);
        self.lease = if is_hot {
            (self.lease.max(1) * 2).min(rule.most_leased)
        } else {
            0
        };
        let extra = self.lease.min(rule.most_leased.saturating_sub(self.held));
        if extra > 0 {
            self.leasing_until = now + LEASE_TIMEOUT;
        }
        extra
    }
}

impl Refusal {
    fn holds(&self, rate: Rate, cost: u32, now: Micros) -> bool {
        now < self.until && cost >= self.cost && rate == self.rate
    }
}

#[cfg(test)]
mod tests;
