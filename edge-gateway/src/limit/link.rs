//! A worker's line to Redis. It answers within the budget or is not waited for: then the edge decides alone, until a new
//! connection has shown that Redis is quick again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Script};
use tokio::time::{sleep, timeout};

use super::bucket::Ask;
use super::figures::Figures;
use super::key::Key;
use crate::gcra::{Rate, Taken};

/// How long a request waits for Redis.
const BUDGET: Duration = Duration::from_millis(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Before the next try to connect. It grows with each failure, and with each loss that soon follows a success: a Redis that
/// is just too slow must not fill the log.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that has lived so long was a good one.
const STEADY_AFTER: Duration = Duration::from_secs(10);
/// One late answer may be this machine's fault; a broken connection counts at once.
const LATE_ANSWERS: u32 = 3;

/// What the workers of an edge know together of Redis.
#[derive(Default)]
pub(super) struct Outage {
    /// Counts the times that a worker has lost Redis: the connections of the others are then not to be trusted either.
    losses: AtomicU64,
    /// The workers that have tried and failed to connect.
    cut_off: AtomicUsize,
}

pub(crate) struct Link {
    redis: Option<Rc<Redis>>,
}

struct Redis {
    client: Client,
    script: Script,
    outage: Arc<Outage>,
    figures: Arc<Figures>,
    state: RefCell<State>,
    late_answers: Cell<u32>,
    pause: Cell<Duration>,
}

enum State {
    Connecting,
    /// Tried to connect, and failed.
    CutOff,
    Linked(Connection),
}

#[derive(Clone)]
struct Connection {
    redis: MultiplexedConnection,
    /// The losses when it was made, which tell it from the one before.
    losses: u64,
    made: Instant,
}

impl Link {
    /// Connects in the background. Must run on the worker's own runtime, which the connection then lives on.
    pub(super) fn start(client: Option<Client>, outage: &Arc<Outage>, figures: &Arc<Figures>) -> Self {
        let redis = client.map(|client| {
            let redis = Rc::new(Redis {
                client,
                script: Script::new(include_str!("take.lua")),
                outage: Arc::clone(outage),
                figures: Arc::clone(figures),
                state: RefCell::new(State::Connecting),
                late_answers: Cell::new(0),
                pause: Cell::new(FIRST_PAUSE),
            });
            actix_web::rt::spawn(Rc::clone(&redis).connect());
            redis
        });
        Self { redis }
    }

    /// Whether Redis can be asked. A connection from before another worker's loss is given up here.
    pub(super) fn is_up(&self) -> bool {
        let Some(redis) = &self.redis else { return false };
        let is_stale = match &*redis.state.borrow() {
            State::Connecting | State::CutOff => return false,
            State::Linked(connection) => connection.losses != redis.outage.losses.load(Ordering::Relaxed),
        };
        if is_stale {
            redis.leave();
            actix_web::rt::spawn(Rc::clone(redis).connect());
        }
        !is_stale
    }

    /// Asks Redis; nothing when it does not answer within the budget.
    pub(super) async fn take(&self, key: Key, rate: Rate, ask: Ask) -> Option<Taken> {
        let redis = self.redis.as_ref()?;
        let mut connection = match &*redis.state.borrow() {
            State::Connecting | State::CutOff => return None,
            State::Linked(connection) => connection.clone(),
        };
        redis.figures.round_trips.inc();
        match timeout(BUDGET, take(&redis.script, &mut connection.redis, key, rate, ask)).await {
            Ok(Ok((taken, _))) => {
                redis.late_answers.set(0);
                Some(taken)
            }
            Ok(Err(error)) => {
                redis.lose(&connection, &error.to_string());
                None
            }
            Err(_) => {
                redis.late_answers.set(redis.late_answers.get() + 1);
                if redis.late_answers.get() >= LATE_ANSWERS {
                    redis.lose(&connection, "no answer in time");
                }
                None
            }
        }
    }
}

/// What was taken, and when by the clock of Redis, in microseconds.
async fn take(
    script: &Script,
    connection: &mut MultiplexedConnection,
    key: Key,
    rate: Rate,
    ask: Ask,
) -> Result<(Taken, u64), RedisError> {
    let mut invocation = script.key(key.to_string());
    invocation.arg(rate.token).arg(rate.burst).arg(ask.cost).arg(ask.extra);
    let (granted, full_in, retry_in, now) = invocation.invoke_async(connection).await?;
    let taken = Taken {
        granted,
        full_in,
        retry_in,
    };
    Ok((taken, now))
}

impl Redis {
    /// Gives a connection up, unless an earlier request has done so.
    fn lose(self: &Rc<Self>, lost: &Connection, cause: &str) {
        let is_current = matches!(&*self.state.borrow(), State::Linked(connection) if connection.losses == lost.losses);
        if !is_current {
            return;
        }
        self.outage.losses.fetch_add(1, Ordering::Relaxed);
        self.leave();
        self.cut_off(cause);
        if lost.made.elapsed() >= STEADY_AFTER {
            self.pause.set(FIRST_PAUSE);
        }
        let redis = Rc::clone(self);
        actix_web::rt::spawn(async move {
            redis.rest().await;
            redis.connect().await;
        });
    }

    fn leave(&self) {
        self.state.replace(State::Connecting);
        self.figures.linked_workers.dec();
    }

    /// The first worker that is cut off says so for all.
    fn cut_off(&self, cause: &str) {
        if matches!(self.state.replace(State::CutOff), State::CutOff) {
            return;
        }
        if self.outage.cut_off.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                error = cause,
                "redis cannot be asked, limits count for this replica alone"
            );
        }
    }

    async fn connect(self: Rc<Self>) {
        loop {
            let losses = self.outage.losses.load(Ordering::Relaxed);
            let cause = match timeout(CONNECT_TIMEOUT, self.try_to_connect()).await {
                Ok(Ok(redis)) => return self.linked(redis, losses),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no connection in time".to_owned(),
            };
            self.cut_off(&cause);
            self.rest().await;
        }
    }

    async fn rest(&self) {
        let pause = self.pause.get();
        self.pause.set((pause * 2).min(LONGEST_PAUSE));
        sleep(pause).await;
    }

    /// A connection that answers within the budget, and knows the script.
    async fn try_to_connect(&self) -> anyhow::Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        self.script.load_async(&mut connection).await?;
        timeout(BUDGET, redis::cmd("PING").exec_async(&mut connection)).await??;
        Ok(connection)
    }

    fn linked(&self, redis: MultiplexedConnection, losses: u64) {
        let connection = Connection {
            redis,
            losses,
            made: Instant::now(),
        };
        self.late_answers.set(0);
        self.figures.linked_workers.inc();
        let was_cut_off = matches!(self.state.replace(State::Linked(connection)), State::CutOff);
        if was_cut_off && self.outage.cut_off.fetch_sub(1, Ordering::Relaxed) == 1 {
            tracing::info!("redis can be asked again, replicas share their limits");
        }
    }
}

#[cfg(test)]
mod tests;
