//! Looks after tasks that nobody else does: leases whose worker vanished, and hints that got lost. Any number of replicas
//! may sweep at once.

use std::time::Duration;

use anyhow::Context;
use outbox::Waker;
use sqlx::{PgConnection, PgPool};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    domain::{self, Event, Failure, State, Task},
    events,
    metrics::Metrics,
    store,
};

const SWEEP_EVERY: Duration = Duration::from_secs(1);
const MEASURE_EVERY: Duration = Duration::from_secs(5);
const BATCH: i32 = 100;

pub(crate) struct Sweeper {
    pool: PgPool,
    waker: Waker,
    metrics: Metrics,
}

impl Sweeper {
    pub(crate) fn new(pool: PgPool, waker: Waker, metrics: Metrics) -> Sweeper {
        Sweeper { pool, waker, metrics }
    }

    /// Sweeps until `shutdown`. What fails is done by the next sweep.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut failing = false;
        let mut measure_at = Instant::now();
        while shutdown
            .run_until_cancelled(tokio::time::sleep(SWEEP_EVERY))
            .await
            .is_some()
        {
            let measure = Instant::now() >= measure_at;
            if measure {
                measure_at = Instant::now() + MEASURE_EVERY;
            }
            match self.turn(measure).await {
                Ok(()) => failing = false,
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    tracing::warn!(error = format!("{error:#}"), "cannot sweep tasks, trying again");
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    async fn turn(&self, measure: bool) -> anyhow::Result<()> {
        while self.sweep().await? == BATCH.unsigned_abs() as usize {}
        if measure {
            let mut connection = self.pool.acquire().await.context("measuring tasks")?;
            self.metrics.set_open(&store::count_open(&mut connection).await?);
        }
        Ok(())
    }

    /// Looks after one batch and answers how many that were.
    async fn sweep(&self) -> anyhow::Result<usize> {
        let mut transaction = service::postgres::begin_unowned(&self.pool)
            .await
            .context("sweeping tasks")?;
        let due = store::lock_due(&mut transaction, BATCH).await?;
        let mut ended = Vec::new();
        for &(id, owner) in &due {
            store::act_for(&mut transaction, owner).await?;
            ended.extend(look_after(&mut transaction, owner, id).await?);
        }
        transaction.commit().await?;
        if !due.is_empty() {
            self.waker.wake();
        }
        ended.into_iter().for_each(|state| self.metrics.count_if_ended(state));
        Ok(due.len())
    }
}

/// Answers the state that a lost lease led to.
async fn look_after(connection: &mut PgConnection, owner: Uuid, id: Uuid) -> anyhow::Result<Option<State>> {
    let Some(task) = store::get(connection, owner, id).await? else {
        return Ok(None);
    };
    match task.state {
        State::Queued | State::Retrying => {
            events::put_job(connection, &task).await?;
            store::note_hint(connection, owner, id).await?;
            Ok(None)
        }
        State::Running | State::Cancelling => take_from_worker(connection, &task).await,
        State::WaitingInput | State::Succeeded | State::Failed | State::Cancelled => Ok(None),
    }
}

async fn take_from_worker(connection: &mut PgConnection, task: &Task) -> anyhow::Result<Option<State>> {
    let event = task.event_of_lost_lease();
    let failure = (event == Event::GiveUp).then(Failure::of_lost_workers);
    let retry_in = domain::backoff(task.losses + 1, &mut rand::rng());
    let taken = store::lose_lease(connection, task.owner_id, task.id, event, failure.as_ref(), retry_in).await?;
    let Some(taken) = taken else { return Ok(None) };
    events::put_status_changed(connection, &taken).await?;
    tracing::warn!(
        task.id = %taken.id,
        task.state = taken.state.name(),
        losses = taken.losses,
        "a worker let its lease run out"
    );
    Ok(Some(taken.state))
}
