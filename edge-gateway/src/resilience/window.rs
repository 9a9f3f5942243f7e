//! What became of the calls of the last ten seconds, in buckets of one second: old ones fall out as time goes on.

use std::time::{Duration, Instant};

const BUCKETS: usize = 10;
const BUCKET: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Counts {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Window {
    begin: Instant,
    buckets: [Counts; BUCKETS],
    /// The number of the bucket that is being filled, counted from the beginning.
    newest: u64,
    total: Counts,
}

impl Window {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            begin: now,
            buckets: [Counts::default(); BUCKETS],
            newest: 0,
            total: Counts::default(),
        }
    }

    pub(super) fn add(&mut self, now: Instant, counts: Counts) {
        self.advance(now);
        let place = self.place(self.newest);
        self.buckets[place].add(counts);
        self.total.add(counts);
    }

    pub(super) fn total(&mut self, now: Instant) -> Counts {
        self.advance(now);
        self.total
    }

    fn advance(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.begin);
        let current = (elapsed.as_nanos() / BUCKET.as_nanos()) as u64;
        if current <= self.newest {
            return;
        }
        let passed = (current - self.newest).min(BUCKETS as u64);
        for number in current - passed + 1..=current {
            let place = self.place(number);
            self.total.subtract(self.buckets[place]);
            self.buckets[place] = Counts::default();
        }
        self.newest = current;
    }

    fn place(&self, number: u64) -> usize {
        (number % BUCKETS as u64) as usize
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.failures += other.failures;
        self.slow += other.slow;
    }

    fn subtract(&mut self, other: Self) {
        self.calls -= other.calls;
        self.failures -= other.failures;
        self.slow -= other.slow;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exactly_the_last_ten_buckets_count(steps in proptest::collection::vec((0_u64..4_000, any::<bool>()), 1..80)) {
            let begin = Instant::now();
            let mut window = Window::new(begin);
            let mut added: Vec<(u64, bool)> = Vec::new();
            let mut now_ms = 0;
            for (pause_ms, failed) in steps {
                now_ms += pause_ms;
                let counts = Counts { calls: 1, failures: u32::from(failed), slow: 0 };
                window.add(begin + Duration::from_millis(now_ms), counts);
                added.push((now_ms / 1000, failed));

                let current = now_ms / 1000;
                let recent = added.iter().filter(|(second, _)| second + BUCKETS as u64 > current);
                let failures = recent.clone().filter(|(_, failed)| *failed).count() as u32;
                let expected = Counts { calls: recent.count() as u32, failures, slow: 0 };
                prop_assert_eq!(window.total(begin + Duration::from_millis(now_ms)), expected);
            }
            let later = begin + Duration::from_millis(now_ms) + BUCKET * BUCKETS as u32;
            prop_assert_eq!(window.total(later), Counts::default());
        }
    }
}
