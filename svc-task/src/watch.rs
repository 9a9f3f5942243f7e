//! Watching a task: a snapshot, then every change once, in order, on any replica. The changes are read from the outbox;
//! NATS only says when to look, and without it we look once a second.

use std::time::Duration;

use anyhow::Context;
use async_nats::{Client, Subscriber};
use bookmesh_proto::task::v1::{Task, TaskStatusChanged};
use futures::StreamExt;
use outbox::Change;
use prost::Message;
use service::postgres;
use sqlx::PgPool;
use tokio::sync::mpsc::{self, Sender};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use uuid::Uuid;

use crate::{domain, error::Error, events, grpc, store};

const LOOK_EVERY: Duration = Duration::from_secs(1);
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_millis(500);
const CHANGES_AT_ONCE: i64 = 100;
/// A slow reader holds back its own watch, not ours.
const CHANGES_AHEAD: usize = 16;

#[derive(Debug, Clone)]
pub(crate) struct Watcher {
    pool: PgPool,
    nats: Client,
}

/// One caller's view of one task.
struct Watch {
    watcher: Watcher,
    owner: Uuid,
    id: Uuid,
    /// The version that the caller has seen.
    seen: i64,
    changes: Sender<Result<Task, Status>>,
}

/// What a look at the task found, oldest first.
struct Found {
    tasks: Vec<(i64, Task)>,
    ended: bool,
}

impl Watcher {
    pub(crate) fn new(pool: PgPool, nats: Client) -> Watcher {
        Watcher { pool, nats }
    }

    pub(crate) async fn watch(&self, owner: Uuid, id: Uuid) -> Result<ReceiverStream<Result<Task, Status>>, Error> {
        // Before the snapshot, so that no hint falls between the two.
        let hints = self.subscribe(owner).await;
        let snapshot = self.snapshot(owner, id).await?.ok_or(Error::NotFound)?;
        let (changes, stream) = mpsc::channel(CHANGES_AHEAD);
        let watch = Watch {
            watcher: self.clone(),
            owner,
            id,
            seen: snapshot.version,
            changes,
        };
        tokio::spawn(watch.run(snapshot, hints));
        Ok(ReceiverStream::new(stream))
    }

    async fn snapshot(&self, owner: Uuid, id: Uuid) -> Result<Option<domain::Task>, Error> {
        let mut transaction = postgres::begin(&self.pool, owner).await?;
        Ok(store::get(&mut transaction, owner, id).await?)
    }

    async fn subscribe(&self, owner: Uuid) -> Option<Subscriber> {
        let subscribing = self.nats.subscribe(events::status_changed_subject(owner));
        match tokio::time::timeout(SUBSCRIBE_TIMEOUT, subscribing).await {
            Ok(Ok(subscriber)) => Some(subscriber),
            Ok(Err(_)) | Err(_) => {
                tracing::debug!("watching a task without hints from nats");
                None
            }
        }
    }
}

impl Watch {
    async fn run(mut self, snapshot: domain::Task, mut hints: Option<Subscriber>) {
        if let Err(error) = self.follow(snapshot, &mut hints).await {
            // Nobody listens any more when this fails.
            let _ = self.changes.send(Err(error.into())).await;
        }
    }

    /// Ends when the task has ended or the caller is gone.
    async fn follow(&mut self, snapshot: domain::Task, hints: &mut Option<Subscriber>) -> Result<(), Error> {
        let mut ended = snapshot.state.has_ended();
        let mut heard = self.changes.send(Ok(grpc::task_message(&snapshot))).await.is_ok();
        while heard && !ended {
            tokio::select! {
                () = hint(hints) => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.changes.closed() => return Ok(()),
            }
            let found = self.look().await?;
            ended = found.ended;
            for (version, task) in found.tasks {
                self.seen = version;
                heard = heard && self.changes.send(Ok(task)).await.is_ok();
            }
        }
        Ok(())
    }

    /// The row is read first: the changes that lead up to it were committed with it. When they are no longer kept, the row
    /// itself stands for them.
    async fn look(&self) -> Result<Found, Error> {
        let mut transaction = postgres::begin(&self.watcher.pool, self.owner).await?;
        let task = store::get(&mut transaction, self.owner, self.id)
            .await?
            .ok_or(Error::NotFound)?;
        if task.version == self.seen {
            return Ok(Found {
                tasks: Vec::new(),
                ended: task.state.has_ended(),
            });
        }
        let changes = outbox::changes_after(
            &mut transaction,
            self.owner,
            self.id,
            events::STATUS_CHANGED,
            self.seen,
            CHANGES_AT_ONCE,
        );
        let mut tasks = changes.await?.iter().map(task_of).collect::<anyhow::Result<Vec<_>>>()?;
        if tasks.is_empty() {
            tasks.push((task.version, grpc::task_message(&task)));
        }
        let reached = tasks.last().map_or(self.seen, |(version, _)| *version);
        Ok(Found {
            tasks,
            ended: task.state.has_ended() && reached >= task.version,
        })
    }
}

/// Waits for the next event about any task of the owner; for ever when there are no hints.
async fn hint(hints: &mut Option<Subscriber>) {
    let Some(subscriber) = hints else {
        return std::future::pending().await;
    };
    if subscriber.next().await.is_none() {
        *hints = None;
    }
}

fn task_of(change: &Change) -> anyhow::Result<(i64, Task)> {
    let message = TaskStatusChanged::decode(change.payload.as_slice()).context("reading a task's change")?;
    let task = message.task.context("a task's change has no task")?;
    Ok((change.version, task))
}
