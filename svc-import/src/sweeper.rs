//! What was left undone: tasks that svc-task has not heard of, and files that nobody needs.

use std::time::Duration;

use anyhow::Context;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    objects::Objects,
    store::tasks::{self, ImportTask},
    tasks::Tasks,
};

const OWED_EVERY: Duration = Duration::from_secs(3);
const OWED_AT_ONCE: i64 = 100;
const FILES_EVERY: Duration = Duration::from_secs(60 * 60);

/// Files stay this long after their upload, so that a failed import can be looked into.
const FILE_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub(crate) struct Sweeper {
    pub(crate) pool: PgPool,
    pub(crate) objects: Objects,
    pub(crate) tasks: Tasks,
}

impl Sweeper {
    pub(crate) async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let work = async {
            tokio::join!(self.create_owed_tasks(), self.delete_old_files());
        };
        shutdown.run_until_cancelled(work).await;
        Ok(())
    }

    async fn create_owed_tasks(&self) {
        let mut failing = false;
        loop {
            tokio::time::sleep(OWED_EVERY).await;
            match self.create_owed_tasks_once().await {
                Ok(()) => failing = false,
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "tasks of imports cannot be made, trying again"
                    );
                }
                Err(_) => {}
            }
        }
    }

    async fn create_owed_tasks_once(&self) -> anyhow::Result<()> {
        let mut connection = self.pool.acquire().await.context("looking for tasks to make")?;
        let owed = tasks::owed(&mut connection, OWED_AT_ONCE)
            .await
            .context("looking for tasks to make")?;
        drop(connection);
        for task in owed {
            create_task(&self.pool, &self.tasks, task).await?;
        }
        Ok(())
    }

    async fn delete_old_files(&self) {
        loop {
            match self.objects.delete_older(FILE_AGE, service::clock::now()).await {
                Ok(0) => {}
                Ok(deleted) => tracing::info!(deleted, "old files of imports are deleted"),
                Err(error) => tracing::warn!(error = format!("{error:#}"), "old files of imports cannot be deleted"),
            }
            tokio::time::sleep(FILES_EVERY).await;
        }
    }
}

/// Has svc-task make the task, and notes that it has.
pub(crate) async fn create_task(pool: &PgPool, svc_task: &Tasks, task: ImportTask) -> anyhow::Result<()> {
    svc_task.create(task).await.context("making the task of an import")?;
    let mut connection = pool.acquire().await.context("noting that a task is made")?;
    tasks::confirm(&mut connection, task.task_id)
        .await
        .context("noting that a task is made")
}
