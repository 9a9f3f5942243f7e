//! What a provider publishes, kept for a while: an answer that is old is better than none when the provider is away.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex as Turn;

/// Asked again after this long.
const FRESH: Duration = Duration::hours(1);
/// While the provider does not answer, what it said last counts for this long.
const STALE: Duration = Duration::days(1);
/// After a failure nobody waits for the provider for this long.
const PAUSE: Duration = Duration::seconds(10);

/// One thing that is fetched by one caller at a time.
pub(super) struct Cached<T> {
    kept: Mutex<Kept<T>>,
    turn: Turn<()>,
}

struct Kept<T> {
    value: Option<(Arc<T>, OffsetDateTime)>,
    failed_at: Option<OffsetDateTime>,
}

impl<T> Default for Cached<T> {
    fn default() -> Cached<T> {
        let kept = Kept {
            value: None,
            failed_at: None,
        };
        Cached {
            kept: Mutex::new(kept),
            turn: Turn::default(),
        }
    }
}

impl<T> Cached<T> {
    /// `fetch` is begun when there is need of it.
    pub(super) async fn get(
        &self,
        now: OffsetDateTime,
        fetch: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<Arc<T>> {
        if let Some(value) = self.younger_than(FRESH, now) {
            return Ok(value);
        }
        let _turn = match (self.turn.try_lock(), self.younger_than(STALE, now)) {
            (Ok(turn), _) => turn,
            // Somebody else is asking already.
            (Err(_), Some(stale)) => return Ok(stale),
            (Err(_), None) => self.turn.lock().await,
        };
        if let Some(value) = self.younger_than(FRESH, now) {
            return Ok(value);
        }
        if self.has_just_failed(now) {
            return self.younger_than(STALE, now).context("did not answer a moment ago");
        }
        match fetch.await {
            Ok(value) => Ok(self.keep(value, now)),
            Err(error) => {
                self.note_failure(now);
                let Some(stale) = self.younger_than(STALE, now) else {
                    return Err(error);
                };
                let error = format!("{error:#}");
                tracing::warn!(
                    error,
                    "what a provider published before stands in for what it does not answer"
                );
                Ok(stale)
            }
        }
    }

    /// Fetches whatever is kept. A failure leaves that as it was.
    pub(super) async fn renew(
        &self,
        now: OffsetDateTime,
        fetch: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<Arc<T>> {
        let _turn = self.turn.lock().await;
        Ok(self.keep(fetch.await?, now))
    }

    fn younger_than(&self, age: Duration, now: OffsetDateTime) -> Option<Arc<T>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, at) = kept.value.as_ref()?;
        (now - *at < age).then(|| Arc::clone(value))
    }

    fn has_just_failed(&self, now: OffsetDateTime) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.failed_at.is_some_and(|at| now - at < PAUSE)
    }

    fn keep(&self, value: T, now: OffsetDateTime) -> Arc<T> {
        let value = Arc::new(value);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.value = Some((Arc::clone(&value), now));
        kept.failed_at = None;
        value
    }

    fn note_failure(&self, now: OffsetDateTime) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.failed_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;

    use super::*;

    const START: OffsetDateTime = time::macros::datetime!(2026-11-01 12:00 UTC);

    async fn ok(value: u32) -> anyhow::Result<u32> {
        Ok(value)
    }

    async fn down() -> anyhow::Result<u32> {
        anyhow::bail!("is down")
    }

    #[tokio::test]
    async fn a_value_is_fetched_once_an_hour() {
        let cached = Cached::default();

        assert_eq!(*cached.get(START, ok(1)).await.unwrap(), 1);
        assert_eq!(*cached.get(START + FRESH / 2, ok(2)).await.unwrap(), 1);
        assert_eq!(*cached.get(START + FRESH, ok(3)).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn while_the_provider_is_away_what_it_said_counts_for_a_day() {
        let cached = Cached::default();
        cached.get(START, ok(1)).await.unwrap();

        assert_eq!(*cached.get(START + FRESH, down()).await.unwrap(), 1);
        assert!(cached.get(START + STALE, down()).await.is_err());
    }

    #[tokio::test]
    async fn after_a_failure_nobody_waits_for_a_while() {
        let cached = Cached::default();
        cached.get(START, down()).await.unwrap_err();

        let soon = cached.get(START + PAUSE / 2, ok(1)).await;
        assert_eq!(soon.unwrap_err().to_string(), "did not answer a moment ago");
        assert_eq!(*cached.get(START + PAUSE, ok(2)).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn many_at_once_ask_once() {
        let (cached, calls) = (Cached::default(), AtomicU32::new(0));
        let fetch = async || {
            tokio::task::yield_now().await;
            Ok(calls.fetch_add(1, Ordering::Relaxed))
        };

        let values = join_all((0..50).map(|_| cached.get(START, fetch()))).await;

        assert!(values.iter().all(|value| **value.as_ref().unwrap() == 0));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_renewal_replaces_what_is_fresh_and_its_failure_does_not() {
        let cached = Cached::default();
        cached.get(START, ok(1)).await.unwrap();

        cached.renew(START, down()).await.unwrap_err();
        assert_eq!(*cached.get(START, ok(2)).await.unwrap(), 1);
        assert_eq!(*cached.renew(START, ok(3)).await.unwrap(), 3);
        assert_eq!(*cached.get(START, ok(4)).await.unwrap(), 3);
    }
}
