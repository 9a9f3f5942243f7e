//! A circuit breaker. A pure state machine: it is told the time and what became of the calls it let through.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::window::{Counts, Window};

/// A caller that is refused while probes are on their way may ask again this much later.
const WHILE_PROBING: Duration = Duration::from_secs(1);
/// Probes that have not come back by then count no more, and others go through.
const PROBING: Duration = Duration::from_secs(5);

/// The table `[breaker]` of the settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerSettings {
    /// Whether there are breakers at all.
    pub enabled: bool,
    /// With fewer calls in the window of ten seconds nothing is concluded from them.
    pub minimum_calls: u32,
    /// So many of a hundred calls that failed open the breaker.
    pub failure_percent: u32,
    /// So many of a hundred calls that were slow or failed open the breaker.
    pub slow_percent: u32,
    /// A call is slow when it takes longer than so much of a hundred of its policy's timeout.
    pub slow_timeout_percent: u32,
    /// How long the breaker stays open at first; each opening that follows a failed probe doubles it.
    pub open_ms: u64,
    /// How long it stays open at most.
    pub open_max_ms: u64,
    /// So many good calls close it again.
    pub probes: u32,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            minimum_calls: 20,
            failure_percent: 50,
            slow_percent: 60,
            slow_timeout_percent: 80,
            open_ms: 5_000,
            open_max_ms: 60_000,
            probes: 5,
        }
    }
}

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Good,
    Slow,
    Failed,
    /// It says nothing of the service: the caller went away, or the call never reached the service.
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Closed,
    Open,
    HalfOpen,
}

/// Goes with a call that was let through, and back with its outcome.
#[derive(Debug)]
#[must_use = "a probe whose outcome is never told keeps the breaker half-open"]
pub(super) struct Permit {
    /// What was let through before the last change of phase says nothing of the time after it.
    epoch: u64,
}

#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    epoch: u64,
    /// Openings since it was last closed.
    openings: u32,
}

#[derive(Debug)]
enum State {
    Closed(Window),
    Open {
        until: Instant,
    },
    HalfOpen {
        since: Instant,
        on_their_way: u32,
        good: u32,
    },
}

impl Breaker {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            state: State::Closed(Window::new(now)),
            epoch: 0,
            openings: 0,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.state {
            State::Closed(_) => Phase::Closed,
            State::Open { .. } => Phase::Open,
            State::HalfOpen { .. } => Phase::HalfOpen,
        }
    }

    /// Lets a call through, or says when to come again.
    pub(super) fn admit(&mut self, now: Instant, settings: &BreakerSettings) -> Result<Permit, Duration> {
        match self.state {
            State::Open { until } if now < until && settings.enabled => return Err(until - now),
            State::Open { .. } => self.probe(now),
            // Probes that neither succeed nor fail, such as slow uploads, must not keep the others out.
            State::HalfOpen { since, .. } if now.saturating_duration_since(since) >= PROBING => self.probe(now),
            State::HalfOpen { .. } | State::Closed(_) => {}
        }
        match &mut self.state {
            State::HalfOpen { on_their_way, good, .. } => {
                if *on_their_way + *good >= settings.probes.max(1) && settings.enabled {
                    return Err(WHILE_PROBING);
                }
                *on_their_way += 1;
            }
            State::Closed(_) | State::Open { .. } => {}
        }
        Ok(Permit { epoch: self.epoch })
    }

    /// Takes an outcome in. `jitter`, from 0 to 1, keeps the breakers of several edges from probing at the same moment.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is given back once")]
    pub(super) fn record(
        &mut self,
        now: Instant,
        settings: &BreakerSettings,
        permit: Permit,
        outcome: Outcome,
        jitter: f64,
    ) {
        if permit.epoch != self.epoch {
            return;
        }
        let opens = match &mut self.state {
            State::Closed(window) => settings.enabled && opens(window, now, settings, outcome),
            State::HalfOpen { on_their_way, good, .. } => {
                *on_their_way -= 1;
                match outcome {
                    Outcome::Good => *good += 1,
                    Outcome::Unknown | Outcome::Slow | Outcome::Failed => {}
                }
                if *good >= settings.probes.max(1) {
                    self.openings = 0;
                    self.change(State::Closed(Window::new(now)));
                    return;
                }
                matches!(outcome, Outcome::Slow | Outcome::Failed)
            }
            State::Open { .. } => false,
        };
        if opens {
            let until = now + open_for(settings, self.openings, jitter);
            self.openings = self.openings.saturating_add(1);
            self.change(State::Open { until });
        }
    }

    fn probe(&mut self, now: Instant) {
        self.change(State::HalfOpen {
            since: now,
            on_their_way: 0,
            good: 0,
        });
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }
}

/// Counts a call, and says whether it was one too many.
fn opens(window: &mut Window, now: Instant, settings: &BreakerSettings, outcome: Outcome) -> bool {
    let (failures, slow) = match outcome {
        Outcome::Good => (0, 0),
        Outcome::Slow => (0, 1),
        Outcome::Failed => (1, 1),
        Outcome::Unknown => return false,
    };
    let counts = Counts {
        calls: 1,
        failures,
        slow,
    };
    window.add(now, counts);
    if slow == 0 {
        // A good call makes no ratio worse.
        return false;
    }
    let total = window.total(now);
    let reaches = |count: u32, percent: u32| u64::from(count) * 100 >= u64::from(percent) * u64::from(total.calls);
    total.calls >= settings.minimum_calls.max(1)
        && (reaches(total.failures, settings.failure_percent) || reaches(total.slow, settings.slow_percent))
}

/// Between three and five quarters of the time that doubling has led to.
fn open_for(settings: &BreakerSettings, openings: u32, jitter: f64) -> Duration {
    let doubled = settings.open_ms.saturating_mul(1 << openings.min(20));
    let milliseconds = doubled.min(settings.open_max_ms.max(settings.open_ms));
    Duration::from_millis(milliseconds).mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        enabled: true,
        minimum_calls: 20,
        failure_percent: 50,
        slow_percent: 60,
        slow_timeout_percent: 80,
        open_ms: 5_000,
        open_max_ms: 60_000,
        probes: 5,
    };

    fn call(breaker: &mut Breaker, now: Instant, outcome: Outcome) -> Result<(), Duration> {
        let permit = breaker.admit(now, &SETTINGS)?;
        breaker.record(now, &SETTINGS, permit, outcome, 0.5);
        Ok(())
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(now);
        for _ in 0..20 {
            call(&mut breaker, now, Outcome::Failed).unwrap();
        }
        assert_eq!(breaker.phase(), Phase::Open);
        breaker
    }

    #[test]
    fn half_of_the_calls_failing_opens_it_but_not_before_there_are_enough() {
        let now = Instant::now();
        let mut breaker = Breaker::new(now);
        for _ in 0..10 {
            call(&mut breaker, now, Outcome::Good).unwrap();
        }
        for _ in 0..9 {
            call(&mut breaker, now, Outcome::Failed).unwrap();
            assert_eq!(breaker.phase(), Phase::Closed);
        }

        call(&mut breaker, now, Outcome::Failed).unwrap();

        assert_eq!(breaker.phase(), Phase::Open);
        assert_eq!(call(&mut breaker, now, Outcome::Good), Err(Duration::from_secs(5)));
    }

    #[test]
    fn slow_calls_open_it_at_their_own_ratio() {
        let now = Instant::now();
        let mut breaker = Breaker::new(now);
        for _ in 0..8 {
            call(&mut breaker, now, Outcome::Good).unwrap();
        }
        for _ in 0..11 {
            call(&mut breaker, now, Outcome::Slow).unwrap();
            assert_eq!(breaker.phase(), Phase::Closed);
        }

        call(&mut breaker, now, Outcome::Slow).unwrap();

        assert_eq!(breaker.phase(), Phase::Open);
    }

    #[test]
    fn failures_of_long_ago_are_forgotten() {
        let now = Instant::now();
        let mut breaker = Breaker::new(now);
        for _ in 0..19 {
            call(&mut breaker, now, Outcome::Failed).unwrap();
        }

        for _ in 0..19 {
            call(&mut breaker, now + Duration::from_secs(10), Outcome::Failed).unwrap();
        }

        assert_eq!(breaker.phase(), Phase::Closed);
    }

    #[test]
    fn so_many_probes_go_through_and_close_it() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        now += Duration::from_secs(5);

        let probes: Vec<Permit> = (0..5).map(|_| breaker.admit(now, &SETTINGS).unwrap()).collect();
        assert_eq!(breaker.admit(now, &SETTINGS).unwrap_err(), WHILE_PROBING);
        assert_eq!(breaker.phase(), Phase::HalfOpen);
        for probe in probes {
            breaker.record(now, &SETTINGS, probe, Outcome::Good, 0.5);
        }

        assert_eq!(breaker.phase(), Phase::Closed);
    }

    #[test]
    fn a_failed_probe_opens_it_for_twice_as_long_up_to_the_limit() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for seconds in [5, 10, 20, 40, 60, 60] {
            let wait = breaker.admit(now, &SETTINGS).unwrap_err();
            assert_eq!(wait, Duration::from_secs(seconds));
            now += wait;
            call(&mut breaker, now, Outcome::Failed).unwrap();
        }
    }

    #[test]
    fn a_probe_whose_caller_went_away_makes_room_for_another() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        now += Duration::from_secs(5);
        for _ in 0..50 {
            call(&mut breaker, now, Outcome::Unknown).unwrap();
        }

        assert_eq!(breaker.phase(), Phase::HalfOpen);
    }

    #[test]
    fn what_was_let_through_before_it_opened_says_nothing_of_later() {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(now);
        let old = breaker.admit(now, &SETTINGS).unwrap();
        for _ in 0..20 {
            call(&mut breaker, now, Outcome::Failed).unwrap();
        }
        now += Duration::from_secs(5);
        for _ in 0..4 {
            call(&mut breaker, now, Outcome::Good).unwrap();
        }

        breaker.record(now, &SETTINGS, old, Outcome::Failed, 0.5);

        assert_eq!(breaker.phase(), Phase::HalfOpen);
    }

    #[test]
    fn one_that_is_switched_off_lets_everything_through() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let off = BreakerSettings {
            enabled: false,
            ..SETTINGS
        };

        for _ in 0..50 {
            let permit = breaker.admit(now, &off).unwrap();
            breaker.record(now, &off, permit, Outcome::Good, 0.5);
        }

        assert_eq!(breaker.phase(), Phase::Closed);
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            4 => Just(Outcome::Good),
            1 => Just(Outcome::Slow),
            4 => Just(Outcome::Failed),
            1 => Just(Outcome::Unknown),
        ]
    }

    proptest! {
        #[test]
        fn good_calls_never_open_it(pauses in vec(0_u64..2_000, 1..200)) {
            let mut now = Instant::now();
            let mut breaker = Breaker::new(now);
            for pause in pauses {
                now += Duration::from_millis(pause);
                prop_assert!(call(&mut breaker, now, Outcome::Good).is_ok());
            }
            prop_assert_eq!(breaker.phase(), Phase::Closed);
        }

        /// Calls begin and end in any order, at any time.
        #[test]
        fn it_never_lets_more_through_than_it_may(
            steps in vec((0_u64..3_000, any::<bool>(), outcome(), 0_usize..64, 0.0_f64..1.0), 1..400),
        ) {
            let mut now = Instant::now();
            let mut breaker = Breaker::new(now);
            let mut under_way: Vec<Permit> = Vec::new();
            let mut refused_until: Option<Instant> = None;
            for (pause, begins, outcome, which, jitter) in steps {
                now += Duration::from_millis(pause);
                if begins || under_way.is_empty() {
                    match breaker.admit(now, &SETTINGS) {
                        Ok(permit) => {
                            if let Some(until) = refused_until {
                                prop_assert!(now >= until, "it stays open as long as it said");
                            }
                            under_way.push(permit);
                        }
                        Err(wait) => {
                            prop_assert!(wait > Duration::ZERO && wait <= Duration::from_secs(75));
                            refused_until = (breaker.phase() == Phase::Open).then(|| now + wait);
                        }
                    }
                } else {
                    let permit = under_way.swap_remove(which % under_way.len());
                    breaker.record(now, &SETTINGS, permit, outcome, jitter);
                }
                if breaker.phase() == Phase::HalfOpen {
                    let probes = under_way.iter().filter(|permit| permit.epoch == breaker.epoch).count();
                    prop_assert!(probes <= 5, "{} probes", probes);
                }
            }
            // Whatever has happened: when all is well again, it closes.
            for permit in under_way {
                breaker.record(now, &SETTINGS, permit, Outcome::Unknown, 0.5);
            }
            now += Duration::from_secs(76);
            for _ in 0..5 {
                prop_assert!(call(&mut breaker, now, Outcome::Good).is_ok());
            }
            prop_assert_eq!(breaker.phase(), Phase::Closed);
        }
    }
}
