//! What became of each row.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{record::unknown, tasks::ImportTask};
use crate::{
    domain::{Counts, Outcome, RowOutcome},
    tasks::Lease,
};

/// Between the warnings of a row on their way in: Postgres cannot unnest arrays of arrays one level deep.
const SEPARATOR: &str = "\n";

/// A row with its place in the import.
pub(crate) struct NumberedRow {
    pub(crate) number: i32,
    pub(crate) row: RowOutcome,
}

/// Adds the outcomes of rows from `first` on, and moves the import's counts and its place in the file with them.
/// False, and nothing is written, when another lease has the import or it is not at `first`.
pub(crate) async fn append(
    connection: &mut PgConnection,
    lease: Lease,
    first: i32,
    rows: &[RowOutcome],
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let counts = Counts::of(rows);
    let result = sqlx::query!(
        "UPDATE imports SET rows = rows + $5, created = created + $6, merged = merged + $7, unchanged = unchanged + $8,
             skipped = skipped + $9, warnings = warnings + $10, updated_at = $11
         WHERE owner_id = $1 AND id = $2 AND lease_token = $3 AND state = 'RUNNING' AND rows = $4",
        lease.task.owner_id,
        lease.task.import_id,
        lease.token,
        first,
        counts.rows,
        counts.created,
        counts.merged,
        counts.unchanged,
        counts.skipped,
        counts.warnings,
        now,
    )
    .execute(&mut *connection)
    .await?;
    if result.rows_affected() == 0 {
        return Ok(false);
    }
    insert(connection, lease.task, first, rows).await?;
    Ok(true)
}

async fn insert(connection: &mut PgConnection, task: ImportTask, first: i32, rows: &[RowOutcome]) -> sqlx::Result<()> {
    let lines: Vec<i32> = rows.iter().map(|row| row.line).collect();
    let outcomes: Vec<&str> = rows.iter().map(|row| row.outcome.as_str_name()).collect();
    let reasons: Vec<&str> = rows.iter().map(|row| row.reason.as_str()).collect();
    let warnings: Vec<String> = rows.iter().map(|row| row.warnings.join(SEPARATOR)).collect();
    let urls: Vec<&str> = rows.iter().map(|row| row.url.as_str()).collect();
    let bookmark_ids: Vec<Option<Uuid>> = rows.iter().map(|row| row.bookmark_id).collect();
    sqlx::query!(
        "INSERT INTO import_rows (import_id, owner_id, number, line, outcome, reason, warnings, url, bookmark_id)
         SELECT $1, $2, $3 + place::integer - 1, line, outcome, reason, string_to_array(warnings, E'\\n'), url, bookmark_id
         FROM unnest($4::integer[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[])
             WITH ORDINALITY AS row (line, outcome, reason, warnings, url, bookmark_id, place)",
        task.import_id,
        task.owner_id,
        first,
        &lines,
        &outcomes as &[&str],
        &reasons as &[&str],
        &warnings,
        &urls as &[&str],
        &bookmark_ids as &[Option<Uuid>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Rows after the place `after`, in the order of the file; of one outcome only, when one is asked for.
pub(crate) async fn list(
    connection: &mut PgConnection,
    owner: Uuid,
    import: Uuid,
    outcome: Option<Outcome>,
    after: Option<i32>,
    limit: i64,
) -> sqlx::Result<Vec<NumberedRow>> {
    let records = sqlx::query!(
        "SELECT number, line, outcome, reason, warnings, url, bookmark_id FROM import_rows
         WHERE owner_id = $1 AND import_id = $2 AND ($3::text IS NULL OR outcome = $3) AND number > $4
         ORDER BY number LIMIT $5",
        owner,
        import,
        outcome.map(|outcome| outcome.as_str_name()),
        after.unwrap_or(-1),
        limit,
    )
    .fetch_all(connection)
    .await?;
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        let outcome = Outcome::from_str_name(&record.outcome).ok_or_else(|| unknown("outcome", &record.outcome))?;
        let row = RowOutcome {
            line: record.line,
            outcome,
            reason: record.reason,
            warnings: record.warnings,
            url: record.url,
            bookmark_id: record.bookmark_id,
        };
        rows.push(NumberedRow {
            number: record.number,
            row,
        });
    }
    Ok(rows)
}
