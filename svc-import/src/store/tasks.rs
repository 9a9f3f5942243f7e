//! Which import a task is for, and which tasks svc-task has not confirmed yet.

use sqlx::PgConnection;
use uuid::Uuid;

#[derive(Clone, Copy, Debug)]
pub(crate) struct ImportTask {
    pub(crate) task_id: Uuid,
    pub(crate) import_id: Uuid,
    pub(crate) owner_id: Uuid,
}

pub(super) async fn insert(connection: &mut PgConnection, task: Uuid, import: Uuid, owner: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO import_tasks (task_id, import_id, owner_id) VALUES ($1, $2, $3)",
        task,
        import,
        owner
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Of any owner: the queue's jobs name their task alone.
pub(crate) async fn find(connection: &mut PgConnection, task: Uuid) -> sqlx::Result<Option<ImportTask>> {
    sqlx::query_as!(
        ImportTask,
        "SELECT task_id, import_id, owner_id FROM import_tasks WHERE task_id = $1",
        task
    )
    .fetch_optional(connection)
    .await
}

/// Of all owners, oldest first: ids are ordered by time.
pub(crate) async fn owed(connection: &mut PgConnection, limit: i64) -> sqlx::Result<Vec<ImportTask>> {
    sqlx::query_as!(
        ImportTask,
        "SELECT task_id, import_id, owner_id FROM import_tasks WHERE owed ORDER BY task_id LIMIT $1",
        limit,
    )
    .fetch_all(connection)
    .await
}

pub(crate) async fn confirm(connection: &mut PgConnection, task: Uuid) -> sqlx::Result<()> {
    sqlx::query!("UPDATE import_tasks SET owed = false WHERE task_id = $1", task)
        .execute(connection)
        .await?;
    Ok(())
}
