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

const DEADLINE: Duration = Duration::from_millis(50);
/// While Redis is gone, calls do not wait for it one by one.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Answers in 50 ms or not at all.
pub(crate) struct RedisLink {
    connection: ConnectionManager,
    health: Mutex<Health>,
    failures: Counter,
}

#[derive(Default)]
struct Health {
    is_down: bool,
    resting_until: Option<Instant>,
}

impl RedisLink {
    /// `failures` counts the times that Redis could not be used. It need not be there yet.
    pub(crate) fn new(url: &str, failures: Counter) -> anyhow::Result<RedisLink> {
        let client = redis::Client::open(url).context("reading BOOKMESH_REDIS_URL")?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(DEADLINE))
            .set_max_delay(REST_AFTER_FAILURE);
        let connection = ConnectionManager::new_lazy_with_config(client, config).context("preparing Redis")?;
        Ok(RedisLink {
            connection,
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
        let answer = tokio::time::timeout(DEADLINE, question(&mut connection)).await;
        match answer {
            Ok(Ok(value)) => {
                self.note_success();
                Some(value)
            }
            Ok(Err(error)) => self.note_failure(&error.to_string()),
            Err(_) => self.note_failure("no answer in time"),
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

    fn note_failure<T>(&self, cause: &str) -> Option<T> {
        self.failures.inc();
        let mut health = self.health();
        if !health.is_down {
            tracing::warn!(error = cause, "redis cannot be used, sessions are read from postgres");
        }
        *health = Health {
            is_down: true,
            resting_until: Some(Instant::now() + REST_AFTER_FAILURE),
        };
        None
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
