//! How many calls may be sent a second time: a share of all calls and a few per second, so that retries never become the
//! load that keeps a service down. Pure: it is told the time.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What was not used is kept for so long.
const KEPT_SECONDS: f64 = 10.0;

/// The table `[retry]` of the settings.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// Whether anything is sent a second time, hedged calls included.
    pub enabled: bool,
    /// So many of a hundred calls to a service may be sent a second time.
    pub budget_percent: u32,
    /// So many calls per second to a service may be sent a second time, however few there are in all.
    pub budget_per_second: f64,
    /// The shortest pause before a second attempt.
    pub pause_min_ms: u64,
    /// The longest pause before a second attempt; each takes one between the two by chance.
    pub pause_max_ms: u64,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            budget_percent: 20,
            budget_per_second: 3.0,
            pause_min_ms: 25,
            pause_max_ms: 250,
        }
    }
}

impl RetrySettings {
    /// The pause before a second attempt; `chance` is from 0 to 1.
    pub(super) fn pause(&self, chance: f64) -> Duration {
        let span = self.pause_max_ms.saturating_sub(self.pause_min_ms) as f64;
        Duration::from_millis(self.pause_min_ms + (span * chance.clamp(0.0, 1.0)) as u64)
    }
}

#[derive(Debug)]
pub(super) struct Budget {
    tokens: f64,
    filled: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant, per_second: f64) -> Self {
        Self {
            tokens: capacity(per_second),
            filled: now,
        }
    }

    /// A call that is sent for the first time earns its share. `per_second` is what this worker may give away.
    pub(super) fn earn(&mut self, settings: &RetrySettings, per_second: f64) {
        self.add(f64::from(settings.budget_percent) / 100.0, per_second);
    }

    /// Whether a call may be sent a second time.
    pub(super) fn spend(&mut self, now: Instant, per_second: f64) -> bool {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.add(elapsed * per_second, per_second);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    fn add(&mut self, tokens: f64, per_second: f64) {
        self.tokens = (self.tokens + tokens).min(capacity(per_second));
    }
}

fn capacity(per_second: f64) -> f64 {
    (per_second * KEPT_SECONDS).max(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pause_is_between_its_bounds() {
        let settings = RetrySettings::default();

        assert_eq!(settings.pause(0.0), Duration::from_millis(25));
        assert_eq!(settings.pause(1.0), Duration::from_millis(250));
    }

    #[test]
    fn without_calls_there_are_a_few_per_second() {
        let mut now = Instant::now();
        let mut budget = Budget::new(now, 3.0);
        while budget.spend(now, 3.0) {}

        now += Duration::from_secs(2);

        assert_eq!((0..20).filter(|_| budget.spend(now, 3.0)).count(), 6);
    }

    proptest! {
        #[test]
        fn no_more_than_the_share_is_ever_sent_twice(steps in vec((0_u64..50, any::<bool>()), 1..2_000)) {
            let settings = RetrySettings::default();
            let begin = Instant::now();
            let mut now = begin;
            let mut budget = Budget::new(begin, 3.0);
            let (mut calls, mut twice) = (0, 0);
            for (pause, fails) in steps {
                now += Duration::from_millis(pause);
                calls += 1;
                budget.earn(&settings, 3.0);
                if fails && budget.spend(now, 3.0) {
                    twice += 1;
                }
            }
            let most = 30.0 + f64::from(calls) * 0.2 + now.duration_since(begin).as_secs_f64() * 3.0;
            prop_assert!(f64::from(twice) <= most + 1e-6, "{} of {}", twice, calls);
        }
    }
}
