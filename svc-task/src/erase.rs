//! Everything of an owner who was deleted goes. A worker whose task is gone hears with its next heartbeat that its lease is
//! lost, and stops.

use anyhow::Context;
use erasure::{Counts, Erase, Names};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store;

pub(crate) const NAMES: Names = Names {
    service: crate::NAME,
    consumer: "svc-task-deletions",
    source: "task",
    events: &["task_status_changed"],
};

pub(crate) struct EraseTasks;

impl Erase for EraseTasks {
    async fn erase(&self, connection: &mut PgConnection, owner: Uuid) -> anyhow::Result<Counts> {
        let tasks = store::erase(connection, owner).await.context("deleting tasks")?;
        Ok(erasure::counts([("tasks", tasks)]))
    }
}
