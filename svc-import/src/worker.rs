//! The worker: takes jobs from the queue and carries each through, from the claim of its task to the task's end.

mod heartbeat;
mod holding;
mod reading;
mod saving;

use std::{pin::pin, sync::Arc, time::Duration};

use anyhow::Context;
use bookmesh_proto::task::v1::Job;
use outbox::{JobMessage, Jobs, Waker};
use prost::Message;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tracing::Instrument;
use uuid::Uuid;

use self::{
    heartbeat::{Progress, Signal},
    reading::ReadError,
    saving::Saved,
};
use crate::{
    Limits,
    bookmarks::Bookmarks,
    domain::{Ending, Import, State},
    failure::{Failure, Reason},
    objects::{FileStream, Objects},
    store,
    tasks::{AttemptEnd, KIND, Lease, Tasks},
};

/// How long a job waits that cannot be claimed because something is away.
const LATER: Duration = Duration::from_secs(2);

/// How often the end of a task is reported. After that its lease runs out, and the next worker reports it.
const FINISH_TRIES: usize = 5;
const FINISH_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Worker {
    pub(crate) pool: PgPool,
    pub(crate) objects: Objects,
    pub(crate) bookmarks: Bookmarks,
    pub(crate) tasks: Tasks,
    pub(crate) waker: Waker,
    pub(crate) limits: Limits,
}

/// What a job turned out to be.
enum Claim {
    Ours(Lease),
    NotToBeHad,
    Later,
}

/// How the work of an attempt came to rest.
enum Rest {
    /// The import has ended, now or before.
    Ended(Box<Import>),
    /// It was told to stop, between two batches.
    Stopped,
    /// Another worker has the import.
    Lost,
}

impl Worker {
    /// Works on one job after the other until the shutdown.
    pub(crate) async fn run(
        self: Arc<Self>,
        nats: async_nats::Client,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut jobs = Jobs::new(nats, KIND);
        while let Some(message) = shutdown.run_until_cancelled(jobs.next()).await {
            let span = message.span();
            self.take_job(message, &shutdown).instrument(span).await;
        }
        Ok(())
    }

    async fn take_job(&self, message: JobMessage, shutdown: &CancellationToken) {
        let claim = self.claim(&message).await.unwrap_or_else(|error| {
            tracing::warn!(error = format!("{error:#}"), "a job cannot be claimed now");
            Claim::Later
        });
        let answered = match claim {
            Claim::Later => message.again(LATER).await,
            // The job is a hint and used up by the claim: if we die, svc-task gives another when the lease runs out.
            Claim::Ours(_) | Claim::NotToBeHad => message.done().await,
        };
        if let Err(error) = answered {
            tracing::debug!(error = format!("{error:#}"), "a job will come again");
        }
        if let Claim::Ours(lease) = claim {
            self.attempt(lease, shutdown).await;
        }
    }

    async fn claim(&self, message: &JobMessage) -> anyhow::Result<Claim> {
        let Some(task_id) = Job::decode(message.payload().clone())
            .ok()
            .and_then(|job| Uuid::try_parse(&job.task_id).ok())
        else {
            tracing::error!("a job that names no task is dropped");
            return Ok(Claim::NotToBeHad);
        };
        let mut connection = self.pool.acquire().await.context("looking up a task")?;
        let task = store::tasks::find(&mut connection, task_id)
            .await
            .context("looking up a task")?;
        drop(connection);
        let Some(task) = task else { return Ok(Claim::NotToBeHad) };
        match self.tasks.claim(task).await {
            Ok(lease) => Ok(Claim::Ours(lease)),
            Err(status) if matches!(status.code(), Code::FailedPrecondition | Code::NotFound) => Ok(Claim::NotToBeHad),
            Err(status) => Err(anyhow::Error::new(status).context("claiming a task")),
        }
    }

    async fn attempt(&self, lease: Lease, shutdown: &CancellationToken) {
        let stop = shutdown.child_token();
        let progress = Progress::default();
        let mut work = pin!(self.work(lease, &progress, &stop));
        let signal = pin!(heartbeat::beat(&self.tasks, lease, &progress));
        let (signal, outcome) = tokio::select! {
            outcome = &mut work => (None, outcome),
            signal = signal => {
                stop.cancel();
                (Some(signal), work.await)
            }
        };
        match self.conclude(lease, signal, outcome).await {
            Ok(Some(end)) => self.finish_task(lease, end, &progress).await,
            Ok(None) => {}
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "an import cannot be ended now; it will be taken up again"
            ),
        }
    }

    /// What svc-task is to be told, if anything.
    async fn conclude(
        &self,
        lease: Lease,
        signal: Option<Signal>,
        outcome: anyhow::Result<Rest>,
    ) -> anyhow::Result<Option<AttemptEnd>> {
        let import = match (outcome, signal) {
            (Ok(Rest::Ended(import)), _) => *import,
            (Ok(Rest::Stopped), Some(Signal::Cancel)) => match self.end(lease, &Ending::Cancelled).await? {
                Some(import) => import,
                None => return Ok(None),
            },
            (Ok(Rest::Stopped | Rest::Lost), _) | (Err(_), Some(Signal::Lost)) => return Ok(None),
            (Err(error), None | Some(Signal::Cancel)) => return Ok(Some(trouble(&error))),
        };
        Ok(Some(end_of(&import)))
    }

    async fn work(&self, lease: Lease, progress: &Progress, stop: &CancellationToken) -> anyhow::Result<Rest> {
        let Some(import) = self.take(lease).await? else {
            return self.ended_before(lease).await;
        };
        progress.set(import.counts.rows, import.total_rows);
        let saved = match self.read_and_save(&import, lease, progress, stop).await {
            Ok(saved) => saved,
            Err(ReadError::Failure(failure)) => {
                tracing::info!(import.id = %import.id, reason = failure.reason.as_str(), "the file cannot be imported");
                return self.end_or_lost(lease, &Ending::Failed(failure)).await;
            }
            Err(ReadError::Trouble(error)) => return Err(error),
        };
        match saved {
            Saved::All => self.end_or_lost(lease, &Ending::Completed).await,
            Saved::Stopped => Ok(Rest::Stopped),
            Saved::Lost => Ok(Rest::Lost),
        }
    }

    /// First the whole file is read to see that it is one, and how many rows it has; then the rows are saved.
    async fn read_and_save(
        &self,
        import: &Import,
        lease: Lease,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> Result<Saved, ReadError> {
        if import.total_rows == 0 {
            let counted = reading::count(self.open(import).await?, self.limits.max_rows);
            let Some(total) = stop.run_until_cancelled(counted).await else {
                return Ok(Saved::Stopped);
            };
            let total = i32::try_from(total?).context("counting rows")?;
            if !self.set_total(lease, total).await? {
                return Ok(Saved::Lost);
            }
            progress.set(import.counts.rows, total);
        }
        let batches = reading::batches(self.open(import).await?, self.limits.max_rows, import.counts.rows);
        self.save(import, lease, batches, progress, stop).await
    }

    async fn open(&self, import: &Import) -> Result<FileStream, ReadError> {
        let gone = || {
            Failure::new(
                Reason::FileGone,
                0,
                "the uploaded file is no longer there; upload it again",
            )
        };
        let file = self.objects.read(import.owner_id, import.id).await?;
        file.ok_or_else(|| ReadError::Failure(gone()))
    }

    async fn finish_task(&self, lease: Lease, end: AttemptEnd, progress: &Progress) {
        for _ in 0..FINISH_TRIES {
            match self.tasks.finish(lease, end.clone(), progress.get()).await {
                Ok(()) => return,
                Err(status) if status.code() == Code::Aborted => return,
                Err(status) => tracing::warn!(error = %status, "the end of a task cannot be reported, trying again"),
            }
            tokio::time::sleep(FINISH_PAUSE).await;
        }
    }
}

fn trouble(error: &anyhow::Error) -> AttemptEnd {
    tracing::warn!(error = format!("{error:#}"), "an attempt to import failed");
    AttemptEnd::Failed {
        reason: "TEMPORARY_FAILURE".to_owned(),
        description: "a part that the import needs is not available".to_owned(),
        retryable: true,
    }
}

fn end_of(import: &Import) -> AttemptEnd {
    match import.state {
        State::Cancelled => AttemptEnd::Cancelled,
        State::Failed => {
            let failure = import.failure.clone();
            let (reason, description) = failure
                .map(|failure| (failure.reason, failure.description))
                .unwrap_or_default();
            AttemptEnd::Failed {
                reason,
                description,
                retryable: false,
            }
        }
        State::Completed | State::CompletedWithWarnings | State::Queued | State::Running | State::Unspecified => {
            AttemptEnd::Succeeded
        }
    }
}
