//! Tasks that ended without a worker, cancelled while they waited or given up: their imports end with them.

use anyhow::Context;
use bookmesh_proto::task::v1::{Task, TaskStatusChanged, task::State};
use outbox::{Event, Handler};
use prost::Message;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    domain::Ending,
    events,
    failure::{Failure, Reason},
    store,
    tasks::KIND,
};

pub(crate) struct TaskEvents;

impl Handler for TaskEvents {
    async fn handle(&self, connection: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        if event.event_type != "bookmesh.task.v1.TaskStatusChanged" {
            return Ok(());
        }
        let message = TaskStatusChanged::decode(event.payload.clone()).context("decoding a task's change")?;
        let Some(task) = message.task.filter(|task| task.kind == KIND) else {
            return Ok(());
        };
        let Some(ending) = ending(&task) else { return Ok(()) };
        let task_id: Uuid = task.id.parse().context("reading a task's id")?;
        let Some(known) = store::tasks::find(connection, task_id).await? else {
            return Ok(());
        };
        // A worker ends its import before its task, so what is ended here had none.
        let ended = store::end(connection, event.owner_id, known.import_id, &ending, event.time).await?;
        if let Some(import) = ended {
            events::put_completed(connection, &import).await?;
        }
        Ok(())
    }
}

fn ending(task: &Task) -> Option<Ending> {
    match task.state() {
        State::Cancelled => Some(Ending::Cancelled),
        State::Failed => Some(Ending::Failed(gave_up(task))),
        State::Unspecified
        | State::Queued
        | State::Running
        | State::Retrying
        | State::WaitingInput
        | State::Cancelling
        | State::Succeeded => None,
    }
}

fn gave_up(task: &Task) -> Failure {
    let why = task
        .error
        .as_ref()
        .map_or("its worker was lost", |error| error.description.as_str());
    Failure::new(
        Reason::GaveUp,
        0,
        format!("given up after {} attempts: {why}", task.attempt),
    )
}
