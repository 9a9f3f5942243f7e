//! The hot copy of sessions in Redis: spares Postgres a read per call, and is never needed for the right answer.

use std::sync::Arc;

use redis::{Cmd, FromRedisValue};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{error::Error, redis_link::RedisLink, store};

/// How long a session may be taken for live without asking Postgres. It bounds what a lost write to Redis can cost.
const LIVE_SECONDS: u64 = 5;
/// Access tokens of an ended session have ended by then.
const ENDED_SECONDS: u64 = 600;
const LIVE: &str = "live";
const ENDED: &str = "ended";

/// Says whether sessions may still be used.
pub(crate) struct HotSessions {
    redis: Arc<RedisLink>,
    pool: PgPool,
}

impl HotSessions {
    pub(crate) fn new(redis: Arc<RedisLink>, pool: PgPool) -> HotSessions {
        HotSessions { redis, pool }
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
        self.redis.ask(async |redis| command.query_async(redis).await).await
    }
}

fn key(id: Uuid) -> String {
    format!("session:{id}")
}
