//! Leases: taken, kept, ended, lost. Only who presents the token of a lease that still runs may change its task.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{interval, moves, row::TaskRow};
use crate::domain::{Event, Failure, Progress, Task};

/// Proof of a lease, presented by a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) task_id: Uuid,
    pub(crate) token: i64,
}

#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) task: Task,
    pub(crate) waited: Duration,
}

#[derive(Debug)]
pub(crate) struct Heartbeat {
    pub(crate) task: Task,
    /// The progress is news: the version has grown.
    pub(crate) changed: bool,
}

/// Takes a task that is due: queued, its next attempt's time come, or its lease over. An attempt whose worker vanished is
/// taken over, not counted again.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    owner: Uuid,
    id: Uuid,
    lease: Duration,
) -> sqlx::Result<Option<Claimed>> {
    let (from, to) = moves(Event::Claim);
    let row = sqlx::query_as!(
        TaskRow,
        "UPDATE tasks
         SET state = move.target, attempt = failures + 1, losses = losses + (state = 'RUNNING')::int,
             lease_token = nextval('lease_tokens'), due_at = now() + $5,
             version = version + 1, updated_at = now()
         FROM unnest($3::text[], $4::text[]) AS move (source, target)
         WHERE id = $1 AND owner_id = $2 AND state = move.source
             AND (state = 'QUEUED' OR (state = 'RETRYING' AND next_attempt_at <= now())
                  OR (state = 'RUNNING' AND due_at <= now()))
         RETURNING tasks.*",
        id,
        owner,
        &from,
        &to,
        interval(lease),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let task = Task::try_from(row)?;
    let due_since = task.next_attempt_at.unwrap_or(task.created_at);
    let waited = Duration::try_from(task.updated_at - due_since).unwrap_or_default();
    Ok(Some(Claimed { task, waited }))
}

/// Prolongs a lease that still holds. News of progress is told at most every 200 ms: what comes sooner is dropped, and the
/// next heartbeat knows better.
pub(crate) async fn heartbeat(
    connection: &mut PgConnection,
    owner: Uuid,
    lease: Lease,
    lasts: Duration,
    progress: Option<Progress>,
) -> sqlx::Result<Option<Heartbeat>> {
    let before = sqlx::query!(
        "SELECT done, total, updated_at < now() - interval '200 milliseconds' AS \"quiet!\" FROM tasks
         WHERE id = $1 AND owner_id = $2 AND lease_token = $3 AND due_at > now() AND state IN ('RUNNING', 'CANCELLING')
         FOR UPDATE",
        lease.task_id,
        owner,
        lease.token,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(before) = before else { return Ok(None) };
    let known = Progress {
        done: before.done,
        total: before.total,
    };
    let told = progress.filter(|progress| *progress != known && before.quiet);
    let row = sqlx::query_as!(
        TaskRow,
        "UPDATE tasks
         SET due_at = now() + $4, done = $5, total = $6, losses = CASE WHEN $5 > done THEN 0 ELSE losses END,
             version = version + $7::bool::int, updated_at = CASE WHEN $7 THEN now() ELSE updated_at END
         WHERE id = $1 AND owner_id = $2 AND lease_token = $3
         RETURNING tasks.*",
        lease.task_id,
        owner,
        lease.token,
        interval(lasts),
        told.unwrap_or(known).done,
        told.unwrap_or(known).total,
        told.is_some(),
    )
    .fetch_one(connection)
    .await?;
    Ok(Some(Heartbeat {
        task: Task::try_from(row)?,
        changed: told.is_some(),
    }))
}

/// The task that a lease is good for, locked: none when the lease is lost or over.
pub(crate) async fn leased(connection: &mut PgConnection, owner: Uuid, lease: Lease) -> sqlx::Result<Option<Task>> {
    let row = sqlx::query_as!(
        TaskRow,
        "SELECT * FROM tasks
         WHERE id = $1 AND owner_id = $2 AND lease_token = $3 AND due_at > now() AND state IN ('RUNNING', 'CANCELLING')
         FOR UPDATE",
        lease.task_id,
        owner,
        lease.token,
    )
    .fetch_optional(connection)
    .await?;
    row.map(Task::try_from).transpose()
}

/// What ends an attempt that its worker has reported on.
#[derive(Debug)]
pub(crate) struct Ending<'a> {
    pub(crate) event: Event,
    pub(crate) failure: Option<&'a Failure>,
    pub(crate) progress: Option<Progress>,
    pub(crate) retry_in: Duration,
}

/// Ends an attempt. None when the lease is lost, or the state does not allow it.
pub(crate) async fn finish(
    connection: &mut PgConnection,
    owner: Uuid,
    lease: Lease,
    ending: &Ending<'_>,
) -> sqlx::Result<Option<Task>> {
    let (from, to) = moves(ending.event);
    let row = sqlx::query_as!(
        TaskRow,
        "UPDATE tasks
         SET state = move.target,
             failures = failures + ($6::text IS NOT NULL)::int, losses = 0,
             error_reason = coalesce($6, error_reason), error_description = coalesce($7, error_description),
             done = coalesce($8, done), total = coalesce($9, total),
             next_attempt_at = CASE WHEN move.target = 'RETRYING' THEN now() + $10 END,
             due_at = CASE WHEN move.target = 'RETRYING' THEN now() + $10 END,
             version = version + 1, updated_at = now()
         FROM unnest($4::text[], $5::text[]) AS move (source, target)
         WHERE id = $1 AND owner_id = $2 AND lease_token = $3 AND due_at > now() AND state = move.source
         RETURNING tasks.*",
        lease.task_id,
        owner,
        lease.token,
        &from,
        &to,
        ending.failure.map(|failure| failure.reason.as_str()),
        ending.failure.map(|failure| failure.description.as_str()),
        ending.progress.map(|progress| progress.done),
        ending.progress.map(|progress| progress.total),
        interval(ending.retry_in),
    )
    .fetch_optional(connection)
    .await?;
    row.map(Task::try_from).transpose()
}

/// Takes a lease that is over from its worker, for good: its token is forgotten.
pub(crate) async fn lose_lease(
    connection: &mut PgConnection,
    owner: Uuid,
    id: Uuid,
    event: Event,
    failure: Option<&Failure>,
    retry_in: Duration,
) -> sqlx::Result<Option<Task>> {
    let (from, to) = moves(event);
    let row = sqlx::query_as!(
        TaskRow,
        "UPDATE tasks
         SET state = move.target, lease_token = NULL, losses = losses + 1,
             error_reason = coalesce($5, error_reason), error_description = coalesce($6, error_description),
             next_attempt_at = CASE WHEN move.target = 'RETRYING' THEN now() + $7 END,
             due_at = CASE WHEN move.target = 'RETRYING' THEN now() + $7 END,
             version = version + 1, updated_at = now()
         FROM unnest($3::text[], $4::text[]) AS move (source, target)
         WHERE id = $1 AND owner_id = $2 AND due_at <= now() AND state = move.source
         RETURNING tasks.*",
        id,
        owner,
        &from,
        &to,
        failure.map(|failure| failure.reason.as_str()),
        failure.map(|failure| failure.description.as_str()),
        interval(retry_in),
    )
    .fetch_optional(connection)
    .await?;
    row.map(Task::try_from).transpose()
}
