//! How many calls an upstream gets at once, found out from how long they take (after Netflix' Gradient2). Pure: it is told
//! the time.
//!
//! While calls take about as long as they usually do, the limit grows; when they take a multiple of it, they wait in
//! the service, and the limit shrinks in proportion. What is usual is an average that follows improvement at once and
//! deterioration over minutes, so that no traffic need be dropped to measure an idle service.

use std::time::{Duration, Instant};

use super::settings::OverloadSettings;

/// Times are averaged over so long at least, and so many calls.
const SAMPLE_TIME: Duration = Duration::from_millis(250);
const SAMPLE_CALLS: u32 = 10;
/// How much of a better and of a worse average goes into what is usual: half a second, and ten minutes.
const FOLLOW_BETTER: f64 = 0.5;
const FOLLOW_WORSE: f64 = 1.0 / 2400.0;
/// How much of the newly found limit is taken over at once.
const TAKE_OVER: f64 = 0.4;
/// However slow the service, one step never takes away more than half of what it takes over.
const STEEPEST: f64 = 0.5;

#[derive(Debug)]
pub(super) struct Limit {
    limit: f64,
    /// Seconds that a call usually takes.
    usual: Option<f64>,
    under_way: u32,
    sample: Sample,
}

#[derive(Debug)]
struct Sample {
    since: Instant,
    calls: u32,
    seconds: f64,
    most_under_way: u32,
}

/// A worker's part of the limits for the whole process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) initial: u32,
    pub(super) minimum: u32,
    pub(super) maximum: u32,
}

impl Limit {
    pub(super) fn new(now: Instant, bounds: Bounds) -> Self {
        Self {
            limit: f64::from(bounds.initial.clamp(bounds.minimum, bounds.maximum.max(bounds.minimum))),
            usual: None,
            under_way: 0,
            sample: Sample::new(now, 0),
        }
    }

    pub(super) fn current(&self) -> u32 {
        self.limit as u32
    }

    pub(super) fn under_way(&self) -> u32 {
        self.under_way
    }

    /// How long a call usually takes.
    pub(super) fn usual(&self) -> Duration {
        Duration::from_secs_f64(self.usual.unwrap_or_default())
    }

    /// Whether there is room for a call that may use so many of a hundred places; always for one.
    pub(super) fn has_room(&self, percent: u32) -> bool {
        self.under_way < self.places(percent)
    }

    /// So many of a hundred places, and at least one.
    pub(super) fn places(&self, percent: u32) -> u32 {
        (self.limit * f64::from(percent) / 100.0).max(1.0) as u32
    }

    pub(super) fn enter(&mut self) {
        self.under_way += 1;
        self.sample.most_under_way = self.sample.most_under_way.max(self.under_way);
    }

    /// `took` is nothing when the time of the call says nothing of the service.
    pub(super) fn leave(&mut self, now: Instant, took: Option<Duration>, settings: &OverloadSettings, bounds: Bounds) {
        self.under_way -= 1;
        let Some(took) = took else { return };
        self.sample.calls += 1;
        self.sample.seconds += took.as_secs_f64();
        if self.sample.calls >= SAMPLE_CALLS && now.saturating_duration_since(self.sample.since) >= SAMPLE_TIME {
            self.learn(settings, bounds);
            self.sample = Sample::new(now, self.under_way);
        }
    }

    fn learn(&mut self, settings: &OverloadSettings, bounds: Bounds) {
        let average = self.sample.seconds / f64::from(self.sample.calls);
        let usual = match self.usual {
            None => average,
            Some(usual) if average < usual => usual + (average - usual) * FOLLOW_BETTER,
            Some(usual) => usual + (average - usual) * FOLLOW_WORSE,
        };
        self.usual = Some(usual);
        let tolerated = usual * f64::from(settings.tolerance_percent.max(100)) / 100.0;
        let tolerated = tolerated.max(settings.calm_ms as f64 / 1e3);
        let gradient = (tolerated / average).clamp(STEEPEST, 1.0);
        // A limit that nobody comes near is no cause of anything, and tells nothing.
        let is_used = f64::from(self.sample.most_under_way) * 2.0 >= self.limit;
        let found = match is_used {
            true => self.limit * gradient + self.limit.sqrt(),
            false => self.limit,
        };
        let next = self.limit + (found - self.limit) * TAKE_OVER;
        let (minimum, maximum) = (f64::from(bounds.minimum), f64::from(bounds.maximum));
        self.limit = next.clamp(minimum, maximum.max(minimum));
    }
}

impl Sample {
    fn new(since: Instant, under_way: u32) -> Self {
        Self {
            since,
            calls: 0,
            seconds: 0.0,
            most_under_way: under_way,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        initial: 256,
        minimum: 8,
        maximum: 2_048,
    };

    /// A service that works on so many calls at once, each for 50 ms, and lets the others wait; callers come with
    /// `callers` at once. Answers the calls per second of the last ten seconds.
    fn simulate(limit: &mut Limit, now: &mut Instant, at_once: u32, callers: u32, seconds: u32) -> f64 {
        let settings = OverloadSettings::default();
        let work = Duration::from_millis(50);
        let mut done = 0;
        for round in 0..seconds * 20 {
            let mut admitted = 0;
            while admitted < callers && limit.has_room(100) {
                limit.enter();
                admitted += 1;
            }
            *now += work;
            for place in 0..admitted {
                let took = work * (place / at_once + 1);
                limit.leave(*now, Some(took), &settings, BOUNDS);
                // Each call beyond what the service works on at once would really wait for the next round.
                if place < at_once && round + 200 >= seconds * 20 {
                    done += 1;
                }
            }
        }
        f64::from(done) / 10.0
    }

    #[test]
    fn three_times_too_many_callers_wait_outside_and_the_service_stays_busy() {
        let mut now = Instant::now();
        let mut limit = Limit::new(now, BOUNDS);
        let peak = simulate(&mut limit, &mut now, 20, 20, 20);

        let goodput = simulate(&mut limit, &mut now, 20, 400, 60);

        assert!(goodput >= peak * 0.8, "{goodput} of {peak}");
        assert!((20..=100).contains(&limit.current()), "{}", limit.current());
    }

    #[test]
    fn it_grows_when_the_service_takes_more() {
        let mut now = Instant::now();
        let mut limit = Limit::new(now, BOUNDS);

        simulate(&mut limit, &mut now, 1_000, 900, 60);

        assert!(limit.current() >= 800, "{}", limit.current());
    }

    #[test]
    fn a_class_has_its_share_of_the_places() {
        let mut limit = Limit::new(
            Instant::now(),
            Bounds {
                initial: 10,
                minimum: 1,
                maximum: 10,
            },
        );
        for _ in 0..5 {
            assert!(limit.has_room(50));
            limit.enter();
        }

        assert!(!limit.has_room(50));
        assert!(limit.has_room(60));
    }

    #[test]
    fn times_under_the_calm_never_shrink_it() {
        let mut now = Instant::now();
        let mut limit = Limit::new(now, BOUNDS);
        let settings = OverloadSettings::default();
        for milliseconds in [1, 20] {
            for _ in 0..1_000 {
                for _ in 0..200 {
                    limit.enter();
                }
                now += Duration::from_millis(10);
                for _ in 0..200 {
                    limit.leave(now, Some(Duration::from_millis(milliseconds)), &settings, BOUNDS);
                }
            }
        }

        assert!(limit.current() >= 256, "{}", limit.current());
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(steps in vec((0_u64..400, 1_u32..600, 0_u64..5_000), 1..300)) {
            let mut now = Instant::now();
            let mut limit = Limit::new(now, BOUNDS);
            for (pause, calls, milliseconds) in steps {
                now += Duration::from_millis(pause);
                let entered = (0..calls).take_while(|_| {
                    let has_room = limit.has_room(100);
                    if has_room {
                        limit.enter();
                    }
                    has_room
                }).count();
                prop_assert!(entered >= 1 && limit.under_way() <= BOUNDS.maximum);
                for _ in 0..entered {
                    limit.leave(now, Some(Duration::from_millis(milliseconds)), &OverloadSettings::default(), BOUNDS);
                }
                prop_assert!((BOUNDS.minimum..=BOUNDS.maximum).contains(&limit.current()));
                prop_assert_eq!(limit.under_way(), 0);
            }
        }
    }
}
