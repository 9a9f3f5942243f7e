//! How many mirrored calls there may be: so many at once, and so many a second, for the whole process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::gcra::{Micros, Rate, take};

const SECOND: Micros = 1_000_000;

pub(crate) struct Budget {
    at_once: Arc<Semaphore>,
    /// A second's worth may come at once.
    rate: Rate,
    /// When the bucket is full again, in microseconds since the budget began.
    full_at: AtomicU64,
}

impl Budget {
    pub(crate) fn new(concurrency: usize, rate: u32) -> Self {
        Self {
            at_once: Arc::new(Semaphore::new(concurrency)),
            rate: Rate {
                token: (SECOND / u64::from(rate.max(1))).max(1),
                burst: rate.max(1),
            },
            full_at: AtomicU64::new(0),
        }
    }

    /// A place that is free again when it is dropped. `now` counts from the beginning of the budget.
    pub(crate) fn take(&self, now: Duration) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.at_once).try_acquire_owned().ok()?;
        self.is_within_rate(now).then_some(place)
    }

    fn is_within_rate(&self, now: Duration) -> bool {
        let now = Micros::try_from(now.as_micros()).unwrap_or(Micros::MAX);
        let next = |mut full_at: Micros| {
            let taken = take(self.rate, &mut full_at, now, 1, 0);
            (taken.granted > 0).then_some(full_at)
        };
        let updated = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        updated.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_at_once_than_allowed_and_a_place_comes_back() {
        let budget = Budget::new(2, 1000);
        let (one, other) = (budget.take(Duration::ZERO), budget.take(Duration::ZERO));

        assert!(one.is_some() && other.is_some());
        assert!(budget.take(Duration::ZERO).is_none());
        drop(one);
        assert!(budget.take(Duration::ZERO).is_some());
    }

    #[test]
    fn no_more_in_a_second_than_allowed_after_the_first() {
        let budget = Budget::new(1, 10);
        let taken_until = |end: u64| {
            let moments = (0..end).map(Duration::from_millis);
            moments.filter(|now| budget.take(*now).is_some()).count()
        };

        let taken = taken_until(10_000);

        assert!((100..=111).contains(&taken), "{taken}");
    }
}
