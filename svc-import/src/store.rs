//! All SQL. Every function takes the connection of a transaction that belongs to the owner.

mod record;
pub(crate) mod rows;
pub(crate) mod tasks;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use self::record::ImportRecord;
use crate::{
    domain::{Ending, Import, State},
    tasks::Lease,
};

/// A file that has been uploaded.
pub(crate) struct NewImport<'a> {
    pub(crate) id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) task_id: Uuid,
    pub(crate) file_name: &'a str,
    pub(crate) size_bytes: i64,
    pub(crate) sha256: &'a [u8],
}

/// Writes the import down with the task that it needs; none when the same file is being imported already.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    new: &NewImport<'_>,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Import>> {
    let record = sqlx::query_as!(
        ImportRecord,
        "INSERT INTO imports (id, owner_id, task_id, file_name, size_bytes, sha256, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
         ON CONFLICT (owner_id, sha256) WHERE state IN ('QUEUED', 'RUNNING') DO NOTHING
         RETURNING id, owner_id, task_id, state, file_name, size_bytes, total_rows, rows, created, merged, unchanged,
             skipped, warnings, failure_reason, failure_line, failure_description, version, created_at, updated_at",
        new.id,
        new.owner_id,
        new.task_id,
        new.file_name,
        new.size_bytes,
        new.sha256,
        now,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(record) = record else { return Ok(None) };
    tasks::insert(connection, new.task_id, new.id, new.owner_id).await?;
    record.into_import().map(Some)
}

pub(crate) async fn get(connection: &mut PgConnection, owner: Uuid, id: Uuid) -> sqlx::Result<Option<Import>> {
    let record = sqlx::query_as!(
        ImportRecord,
        "SELECT id, owner_id, task_id, state, file_name, size_bytes, total_rows, rows, created, merged, unchanged,
             skipped, warnings, failure_reason, failure_line, failure_description, version, created_at, updated_at
         FROM imports WHERE owner_id = $1 AND id = $2",
        owner,
        id,
    )
    .fetch_optional(connection)
    .await?;
    record.map(ImportRecord::into_import).transpose()
}

/// The import of the same bytes that has not ended yet.
pub(crate) async fn unfinished_with_file(
    connection: &mut PgConnection,
    owner: Uuid,
    sha256: &[u8],
) -> sqlx::Result<Option<Import>> {
    let record = sqlx::query_as!(
        ImportRecord,
        "SELECT id, owner_id, task_id, state, file_name, size_bytes, total_rows, rows, created, merged, unchanged,
             skipped, warnings, failure_reason, failure_line, failure_description, version, created_at, updated_at
         FROM imports WHERE owner_id = $1 AND sha256 = $2 AND state IN ('QUEUED', 'RUNNING')",
        owner,
        sha256,
    )
    .fetch_optional(connection)
    .await?;
    record.map(ImportRecord::into_import).transpose()
}

pub(crate) async fn count_unfinished(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM imports WHERE owner_id = $1 AND state IN ('QUEUED', 'RUNNING')"#,
        owner,
    )
    .fetch_one(connection)
    .await
}

/// Imports older than `before`, newest first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    owner: Uuid,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Import>> {
    let records = sqlx::query_as!(
        ImportRecord,
        "SELECT id, owner_id, task_id, state, file_name, size_bytes, total_rows, rows, created, merged, unchanged,
             skipped, warnings, failure_reason, failure_line, failure_description, version, created_at, updated_at
         FROM imports WHERE owner_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        owner,
        before,
        limit,
    )
    .fetch_all(connection)
    .await?;
    records.into_iter().map(ImportRecord::into_import).collect()
}

/// Takes the import for a lease: writers with an older one are refused from now on. None when it has ended, or a newer
/// lease has it.
pub(crate) async fn take(
    connection: &mut PgConnection,
    owner: Uuid,
    id: Uuid,
    lease_token: i64,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Import>> {
    let record = sqlx::query_as!(
        ImportRecord,
        "UPDATE imports SET lease_token = $3, state = 'RUNNING', version = version + 1, updated_at = $4
         WHERE owner_id = $1 AND id = $2 AND lease_token <= $3 AND state IN ('QUEUED', 'RUNNING')
         RETURNING id, owner_id, task_id, state, file_name, size_bytes, total_rows, rows, created, merged, unchanged,
             skipped, warnings, failure_reason, failure_line, failure_description, version, created_at, updated_at",
        owner,
        id,
        lease_token,
        now,
    )
    .fetch_optional(connection)
    .await?;
    record.map(ImportRecord::into_import).transpose()
}

pub(crate) async fn set_total(
    connection: &mut PgConnection,
    owner: Uuid,
    id: Uuid,
    lease_token: i64,
    total_rows: i32,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "UPDATE imports SET total_rows = $4
         WHERE owner_id = $1 AND id = $2 AND lease_token = $3 AND state = 'RUNNING'",
        owner,
        id,
        lease_token,
        total_rows,
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Ends an import that its worker has taken. None when the worker has lost it.
pub(crate) async fn finish(
    connection: &mut PgConnection,
    lease: Lease,
    ending: &Ending,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Import>> {
    let (owner, id) = (lease.task.owner_id, lease.task.import_id);
    let held = sqlx::query_scalar!(
        "SELECT 1 AS held FROM imports
         WHERE owner_id = $1 AND id = $2 AND lease_token = $3 AND state = 'RUNNING' FOR UPDATE",
        owner,
        id,
        lease.token,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if held.is_none() {
        return Ok(None);
    }
    end(connection, owner, id, ending, now).await
}

/// Ends an import whoever has it; none when it has ended before.
pub(crate) async fn end(
    connection: &mut PgConnection,
    owner: Uuid,
    id: Uuid,
    ending: &Ending,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Import>> {
    let Some(import) = get(connection, owner, id).await?.filter(|import| !import.has_ended()) else {
        return Ok(None);
    };
    let state: State = ending.state(import.counts);
    let failure = ending.failure();
    let record = sqlx::query_as!(
        ImportRecord,
        "UPDATE imports SET state = $3, failure_reason = $4, failure_line = $5, failure_description = $6,
             version = version + 1, updated_at = $7
         WHERE owner_id = $1 AND id = $2 AND state IN ('QUEUED', 'RUNNING')
         RETURNING id, owner_id, task_id, state, file_name, size_bytes, total_rows, rows, created, merged, unchanged,
             skipped, warnings, failure_reason, failure_line, failure_description, version, created_at, updated_at",
        owner,
        id,
        state.as_str_name(),
        failure.as_ref().map(|failure| failure.reason.as_str()),
        failure.as_ref().map(|failure| failure.line),
        failure.as_ref().map(|failure| failure.description.as_str()),
        now,
    )
    .fetch_optional(connection)
    .await?;
    record.map(ImportRecord::into_import).transpose()
}

/// Deletes all imports of the owner with what belongs to them; answers how many imports and rows there were.
pub(crate) async fn erase(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<(u64, u64)> {
    let rows = sqlx::query!(
        "DELETE FROM import_rows WHERE owner_id = $1 AND import_id IN (SELECT id FROM imports WHERE owner_id = $1)",
        owner
    )
    .execute(&mut *connection)
    .await?;
    let imports = sqlx::query!("DELETE FROM imports WHERE owner_id = $1", owner)
        .execute(connection)
        .await?;
    Ok((imports.rows_affected(), rows.rows_affected()))
}
