//! All SQL of svc-task. Every change of state is one statement, guarded by the states it may start from.

mod lease;
mod row;
mod sweep;

use std::time::Duration;

use sqlx::{PgConnection, PgPool, postgres::types::PgInterval};
use time::OffsetDateTime;
use uuid::Uuid;

use self::row::TaskRow;
pub(crate) use self::{
    lease::{Claimed, Ending, Heartbeat, Lease, claim, finish, heartbeat, leased, lose_lease},
    sweep::{act_for, count_open, lock_due, note_hint},
};
use crate::domain::{Event, State, Task};

/// How long a hint may go unanswered before the task is hinted at again.
const HINT_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct NewTask {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) subject: String,
    pub(crate) max_attempts: i32,
}

/// The last task of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    pub(crate) created_at: OffsetDateTime,
    pub(crate) id: Uuid,
}

/// None when the id is taken, by whomever.
pub(crate) async fn insert(connection: &mut PgConnection, owner: Uuid, new: &NewTask) -> sqlx::Result<Option<Task>> {
    let row = sqlx::query_as!(
        TaskRow,
        "INSERT INTO tasks (id, owner_id, kind, subject, state, max_attempts, due_at)
         VALUES ($1, $2, $3, $4, 'QUEUED', $5, now() + $6) ON CONFLICT (id) DO NOTHING RETURNING tasks.*",
        new.id,
        owner,
        new.kind,
        new.subject,
        new.max_attempts,
        interval(HINT_PATIENCE),
    )
    .fetch_optional(connection)
    .await?;
    row.map(Task::try_from).transpose()
}

pub(crate) async fn get(connection: &mut PgConnection, owner: Uuid, id: Uuid) -> sqlx::Result<Option<Task>> {
    let row = sqlx::query_as!(
        TaskRow,
        "SELECT * FROM tasks WHERE id = $1 AND owner_id = $2",
        id,
        owner
    )
    .fetch_optional(connection)
    .await?;
    row.map(Task::try_from).transpose()
}

/// Newest first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    owner: Uuid,
    after: Option<Cursor>,
    limit: i64,
) -> sqlx::Result<Vec<Task>> {
    let rows = sqlx::query_as!(
        TaskRow,
        "SELECT * FROM tasks
         WHERE owner_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
         ORDER BY created_at DESC, id DESC LIMIT $4",
        owner,
        after.map(|cursor| cursor.created_at),
        after.map(|cursor| cursor.id),
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Task::try_from).collect()
}

/// Asks a task to end. None when there is nothing to change.
pub(crate) async fn cancel(connection: &mut PgConnection, owner: Uuid, id: Uuid) -> sqlx::Result<Option<Task>> {
    let (from, to) = moves(Event::Cancel);
    let row = sqlx::query_as!(
        TaskRow,
        "UPDATE tasks
         SET state = move.target, next_attempt_at = NULL,
             due_at = CASE WHEN move.target = 'CANCELLING' THEN due_at END,
             version = version + 1, updated_at = now()
         FROM unnest($3::text[], $4::text[]) AS move (source, target)
         WHERE id = $1 AND owner_id = $2 AND state = move.source
         RETURNING tasks.*",
        id,
        owner,
        &from,
        &to,
    )
    .fetch_optional(connection)
    .await?;
    row.map(Task::try_from).transpose()
}

/// Whether the database answers.
pub(crate) async fn reach(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query("SELECT 1").execute(pool).await?;
    Ok(())
}

/// Deletes all tasks of the owner; answers how many there were.
pub(crate) async fn erase(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<u64> {
    let erased = sqlx::query!("DELETE FROM tasks WHERE owner_id = $1", owner)
        .execute(connection)
        .await?;
    Ok(erased.rows_affected())
}

/// The changes that an event allows, as two columns: the state machine's word, for the statement to be guarded by.
fn moves(event: Event) -> (Vec<String>, Vec<String>) {
    let allowed = State::ALL
        .into_iter()
        .filter_map(|state| Some((state, state.after(event).ok()?)));
    allowed
        .map(|(from, to)| (from.name().to_owned(), to.name().to_owned()))
        .unzip()
}

/// For spans of less than a day, which is all there are here.
fn interval(span: Duration) -> PgInterval {
    let microseconds = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    PgInterval {
        months: 0,
        days: 0,
        microseconds,
    }
}
