//! The hot copy of sessions in Redis: spares Postgres a read per call, and is never needed for the right answer.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context;
use prometheus_client::metrics::counter::Counter;
use redis::{
    Cmd, FromRedisValue,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{error::Error, store};

/// How long a session may be taken for live without asking Postgres. It bounds what a lost write to Redis can cost.
const LIVE_SECONDS: u64 = 5;
/// Access tokens of an ended session have ended by then.
const ENDED_SECONDS: u64 = 600;
const LIVE: &str = "live";
const ENDED: &str = "ended";

const DEADLINE: Duration = Duration::from_millis(50);
/// While Redis is gone, calls do not wait for it one by one.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Says whether sessions may still be used.
pub(crate) struct HotSessions {
    redis: ConnectionManager,
    pool: PgPool,
    health: Mutex<Health>,
    misses: Counter,
}

#[derive(Default)]
struct Health {
    is_down: bool,
    resting_until: Option<Instant>,
}

impl HotSessions {
    /// `misses` counts the times that Redis could not be used. It need not be there yet.
    pub(crate) fn new(redis_url: &str, pool: PgPool, misses: Counter) -> anyhow::Result<HotSessions> {
        let client = redis::Client::open(redis_url).context("reading BOOKMESH_REDIS_URL")?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(DEADLINE))
            .set_max_delay(REST_AFTER_FAILURE);
        let redis = ConnectionManager::new_lazy_with_config(client, config).context("preparing Redis")?;
        Ok(HotSessions {
            redis,
            pool,
            health: Mutex::default(),
            misses,
        })
    }

    /// Fails when the session has ended, or is not this user's.
    pub(crate) async fn require_live(&self, user_id: Uuid, id: Uuid, now: OffsetDateTime) -> Result<(), Error> {
        let remembered: Option<Option<String>> = self.ask(redis::cmd("GET").arg(key(id))).await;
        match remembered.flatten().as_deref() {
            Some(LIVE) => return Ok(()),
            Some(ENDED) => return Err(Error::SessionEnded),
            _ => {}
        }
        if !store::session_is_live(&self.pool, user_id, id, now).await? {
            return Err(Error::SessionEnded);
        }
        // Never over a word that says it has ended: that one may have come while we read Postgres.
        let remember = redis::cmd("SET")
            .arg(key(id))
            .arg(LIVE)
            .arg("EX")
            .arg(LIVE_SECONDS)
            .arg("NX")
            .take();
        self.ask::<redis::Value>(&remember).await;
        Ok(())
    }

    /// To be called once the end is committed.
    pub(crate) async fn note_end(&self, id: Uuid) {
        let remember = redis::cmd("SET")
            .arg(key(id))
            .arg(ENDED)
            .arg("EX")
            .arg(ENDED_SECONDS)
            .take();
        self.ask::<redis::Value>(&remember).await;
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        if self.is_resting() {
            self.misses.inc();
            return None;
        }
        let mut redis = self.redis.clone();
        let answer = tokio::time::timeout(DEADLINE, command.query_async(&mut redis)).await;
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
        self.misses.inc();
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

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(id: Uuid) -> String {
    format!("session:{id}")
}
