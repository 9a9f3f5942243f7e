//! What svc-task tells others: that a task has changed, and that work is due.

use bookmesh_proto::task::v1::{Job, TaskStatusChanged};
use outbox::NewEvent;
use prost::Message;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{domain::Task, grpc};

pub(crate) const STATUS_CHANGED: &str = "bookmesh.task.v1.TaskStatusChanged";
const JOB: &str = "bookmesh.task.v1.Job";

pub(crate) fn status_changed_subject(owner: Uuid) -> String {
    outbox::subject("task", "task_status_changed", owner)
}

/// Tells of the change that made this version of the task.
pub(crate) async fn put_status_changed(connection: &mut PgConnection, task: &Task) -> sqlx::Result<()> {
    let changed = TaskStatusChanged {
        owner_id: task.owner_id.to_string(),
        task: Some(grpc::task_message(task)),
    };
    let subject = status_changed_subject(task.owner_id);
    put(connection, task, subject, STATUS_CHANGED, changed.encode_to_vec()).await
}

/// Hints to the workers of its kind that the task is due.
pub(crate) async fn put_job(connection: &mut PgConnection, task: &Task) -> sqlx::Result<()> {
    let job = Job {
        task_id: task.id.to_string(),
        attempt: task.failures + 1,
        owner_id: task.owner_id.to_string(),
    };
    let subject = format!("jobs.{}", task.kind);
    put(connection, task, subject, JOB, job.encode_to_vec()).await
}

async fn put(
    connection: &mut PgConnection,
    task: &Task,
    subject: String,
    event_type: &'static str,
    payload: Vec<u8>,
) -> sqlx::Result<()> {
    let event = NewEvent {
        subject,
        event_type,
        owner_id: task.owner_id,
        aggregate_id: task.id,
        version: task.version,
        payload,
    };
    outbox::put(connection, event).await?;
    Ok(())
}
