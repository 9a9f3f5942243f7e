//! The way to Redis. What it holds may vanish at any time, and nobody waits for it long.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context;
use prometheus_client::metrics::counter::Counter;
use redis::{
    RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

/// While Redis is gone, calls do not wait for it one by one.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// One late answer may be this machine's fault; a broken connection counts at once.
const LATE_ANSWERS: u32 = 3;

/// Answers in time or not at all.
pub(crate) struct RedisLink {
    connection: ConnectionManager,
    timeout: Duration,
    health: Mutex<Health>,
    failures: Counter,
}

#[derive(Default)]
struct Health {
    is_down: bool,
    resting_until: Option<Instant>,
    late_answers: u32,
}

impl RedisLink {
    /// `failures` counts the times that Redis could not be used. It need not be there yet.
    pub(crate) fn new(url: &str, timeout: Duration, failures: Counter) -> anyhow::Result<RedisLink> {
        let client = redis::Client::open(url).context("reading BOOKMESH_REDIS_URL")?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(None)
            .set_max_delay(REST_AFTER_FAILURE);
        let connection = ConnectionManager::new_lazy_with_config(client, config).context("preparing Redis")?;
        Ok(RedisLink {
            connection,
            timeout,
            health: Mutex::default(),
            failures,
        })
    }

    /// Nothing when Redis cannot be used.
    pub(crate) async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut ConnectionManager) -> RedisResult<T>,
    ) -> Option<T> {
        if self.is_resting() {
            self.failures.inc();
            return None;
        }
        let mut connection = self.connection.clone();
        let answer = tokio::time::timeout(self.timeout, question(&mut connection)).await;
        match answer {
            Ok(Ok(value)) => {
                self.note_success();
                Some(value)
            }
            Ok(Err(error)) => {
                self.note_failure(&error.to_string());
                None
            }
            Err(_) => {
                self.note_late_answer();
                None
            }
        }
    }

    fn is_resting(&self) -> bool {
        self.health().resting_until.is_some_and(|until| Instant::now() < until)
    }

    fn note_success(&self) {
        let mut health = self.health();
        if health.is_down {
            tracing::info!("redis is back");
        }
        *health = Health::default();
    }

    fn note_late_answer(&self) {
        let late_answers = {
            let mut health = self.health();
            health.late_answers += 1;
            health.late_answers
        };
        if late_answers >= LATE_ANSWERS {
            self.note_failure("no answer in time");
        } else {
            self.failures.inc();
        }
    }

    fn note_failure(&self, cause: &str) {
        self.failures.inc();
        let mut health = self.health();
        if !health.is_down {
            tracing::warn!(
                error = cause,
                "redis cannot be used: sessions are read from postgres, attempts are counted here alone, more strictly"
            );
        }
        *health = Health {
            is_down: true,
            resting_until: Some(Instant::now() + REST_AFTER_FAILURE),
            // After the rest, one is enough.
            late_answers: LATE_ANSWERS,
        };
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
