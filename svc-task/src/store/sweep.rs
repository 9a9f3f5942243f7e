//! What the sweeper asks, across owners through two narrow functions and otherwise as each task's owner.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{HINT_PATIENCE, interval};

/// Notes that a waiting task is hinted at now, so that the next hint is not due for a while.
pub(crate) async fn note_hint(connection: &mut PgConnection, owner: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE tasks SET due_at = now() + $3 WHERE id = $1 AND owner_id = $2 AND state IN ('QUEUED', 'RETRYING')",
        id,
        owner,
        interval(HINT_PATIENCE),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Tasks of any owner that somebody has to look at, locked until the end of the transaction.
pub(crate) async fn lock_due(connection: &mut PgConnection, at_most: i32) -> sqlx::Result<Vec<(Uuid, Uuid)>> {
    let due = sqlx::query!(
        r#"SELECT id AS "id!", owner_id AS "owner_id!" FROM lock_due_tasks($1)"#,
        at_most
    )
    .fetch_all(connection)
    .await?;
    Ok(due.into_iter().map(|task| (task.id, task.owner_id)).collect())
}

/// From here on the transaction sees and writes the rows of this owner.
pub(crate) async fn act_for(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<()> {
    sqlx::query_scalar!("SELECT set_config('bookmesh.owner', $1, true)", owner.to_string())
        .fetch_one(connection)
        .await?;
    Ok(())
}

pub(crate) async fn count_open(connection: &mut PgConnection) -> sqlx::Result<Vec<(String, i64)>> {
    let counts = sqlx::query!(r#"SELECT state AS "state!", count AS "count!" FROM count_open_tasks()"#)
        .fetch_all(connection)
        .await?;
    Ok(counts.into_iter().map(|count| (count.state, count.count)).collect())
}
