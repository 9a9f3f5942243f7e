//! How slowly a file may come: a caller that drips holds a place for as long as its call may last. Pure: it is told the time.

use std::time::Duration;

use crate::connection::ConnectionSettings;

/// How long a caller was waited for, and what came. Time that the service takes is not the caller's.
#[derive(Default)]
pub(super) struct Pace {
    waited: Duration,
    received: u64,
}

impl Pace {
    /// What came after a wait.
    pub(super) fn note(&mut self, waited: Duration, received: u64) {
        self.waited += waited;
        self.received += received;
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// How long the next piece may take.
    pub(super) fn patience(&self, settings: &ConnectionSettings) -> Duration {
        if settings.upload_bytes_per_second == 0 {
            return Duration::MAX;
        }
        let earned = Duration::from_millis(self.received.saturating_mul(1_000) / settings.upload_bytes_per_second);
        let due = settings.upload_grace().saturating_add(earned);
        due.saturating_sub(self.waited)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: ConnectionSettings = ConnectionSettings {
        upload_bytes_per_second: 1_000,
        upload_grace_ms: 20_000,
        ..ConnectionSettings::DEFAULT
    };

    #[test]
    fn a_byte_now_and_then_is_not_enough() {
        let mut pace = Pace::default();
        for _ in 0..2 {
            pace.note(Duration::from_secs(9), 1);
        }

        assert_eq!(pace.patience(&SETTINGS), Duration::from_millis(2_002));
        pace.note(Duration::from_secs(9), 1);
        assert_eq!(pace.patience(&SETTINGS), Duration::ZERO);
    }

    #[test]
    fn without_a_rate_any_time_will_do() {
        let settings = ConnectionSettings {
            upload_bytes_per_second: 0,
            ..SETTINGS
        };

        assert_eq!(Pace::default().patience(&settings), Duration::MAX);
    }

    proptest! {
        #[test]
        fn who_keeps_the_rate_is_always_given_the_grace(pieces in prop::collection::vec((0..10_000_u64, 0..10_000_u64), 0..50)) {
            let mut pace = Pace::default();
            for (milliseconds, more) in pieces {
                pace.note(Duration::from_millis(milliseconds), milliseconds + more);

                prop_assert!(pace.patience(&SETTINGS) >= SETTINGS.upload_grace());
            }
        }
    }
}
