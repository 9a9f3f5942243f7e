//! The SQL of the relay and of the consumers. None of these tables is scoped by owner: they serve the machinery alone.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

/// Both sides of the outbox keep what they know for longer than a stream keeps its messages.
const PRUNE_BATCH: i64 = 1000;

#[derive(Debug)]
pub(crate) struct UnpublishedEvent {
    pub seq: i64,
    pub event_id: Uuid,
    pub subject: String,
    pub event_type: String,
    pub owner_id: Uuid,
    pub aggregate_id: Uuid,
    pub version: i64,
    pub payload: Vec<u8>,
    pub traceparent: Option<String>,
    pub created_at: OffsetDateTime,
}

/// A stream as it was seen last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeenStream {
    pub created_nanoseconds: i64,
    pub last_sequence: i64,
}

#[derive(Debug)]
pub(crate) struct DeadLetter<'a> {
    pub consumer: &'a str,
    pub event_id: Option<Uuid>,
    pub subject: &'a str,
    pub headers: BTreeMap<String, String>,
    pub payload: &'a [u8],
    pub deliveries: i64,
    pub error: String,
}

/// Becomes the only relay of the schema for as long as the connection lives.
pub(crate) async fn try_lead(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock(hashtext('outbox relay'), hashtext(current_schema()::text)) AS "leads!""#
    )
    .fetch_one(connection)
    .await
}

/// For connections that are closed at once: Postgres gives the lock of a closed one back in its own time.
pub(crate) async fn stop_leading(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(r#"SELECT pg_advisory_unlock(hashtext('outbox relay'), hashtext(current_schema()::text)) AS "led!""#)
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// The head of what waits, bounded in number and bytes.
pub(crate) async fn unpublished(connection: &mut PgConnection) -> sqlx::Result<Vec<UnpublishedEvent>> {
    sqlx::query_as!(
        UnpublishedEvent,
        r#"SELECT seq AS "seq!", event_id AS "event_id!", subject AS "subject!", event_type AS "event_type!",
               owner_id AS "owner_id!", aggregate_id AS "aggregate_id!", version AS "version!", payload AS "payload!",
               traceparent, created_at AS "created_at!"
           FROM (
               SELECT *, sum(octet_length(payload)) OVER (ORDER BY seq) - octet_length(payload) AS bytes_before
               FROM (SELECT * FROM outbox WHERE published_at IS NULL ORDER BY seq LIMIT 512) head
           ) sized
           WHERE bytes_before < 4000000
           ORDER BY seq"#
    )
    .fetch_all(connection)
    .await
}

pub(crate) async fn mark_published(
    connection: &mut PgConnection,
    seqs: &[i64],
    stream: &str,
    last_sequence: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH marked AS (UPDATE outbox SET published_at = now() WHERE seq = ANY($1))
         UPDATE outbox_stream SET last_sequence = greatest(last_sequence, $3) WHERE stream = $2",
        seqs,
        stream,
        last_sequence,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How many events wait and for how long the oldest has.
pub(crate) async fn backlog(connection: &mut PgConnection) -> sqlx::Result<(i64, Duration)> {
    let backlog = sqlx::query!(
        r#"SELECT count(*) AS "count!",
               coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS "oldest_age!"
           FROM outbox WHERE published_at IS NULL"#
    )
    .fetch_one(connection)
    .await?;
    Ok((backlog.count, Duration::from_secs_f64(backlog.oldest_age.max(0.0))))
}

pub(crate) async fn seen_stream(connection: &mut PgConnection, stream: &str) -> sqlx::Result<Option<SeenStream>> {
    sqlx::query_as!(
        SeenStream,
        "SELECT created_nanoseconds, last_sequence FROM outbox_stream WHERE stream = $1",
        stream
    )
    .fetch_optional(connection)
    .await
}

pub(crate) async fn remember_stream(connection: &mut PgConnection, stream: &str, seen: SeenStream) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO outbox_stream (stream, created_nanoseconds, last_sequence) VALUES ($1, $2, $3)
         ON CONFLICT (stream) DO UPDATE
         SET created_nanoseconds = excluded.created_nanoseconds, last_sequence = excluded.last_sequence",
        stream,
        seen.created_nanoseconds,
        seen.last_sequence,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes the retained events unpublished again, and the stream the one that is known, in one statement.
pub(crate) async fn publish_again(connection: &mut PgConnection, stream: &str, seen: SeenStream) -> sqlx::Result<u64> {
    let again = sqlx::query_scalar!(
        r#"WITH again AS (
               UPDATE outbox SET published_at = NULL
               WHERE published_at IS NOT NULL AND subject LIKE 'evt.%' AND created_at > now() - interval '7 days'
               RETURNING 1
           ), seen AS (
               UPDATE outbox_stream SET created_nanoseconds = $2, last_sequence = $3 WHERE stream = $1
           )
           SELECT count(*) AS "count!" FROM again"#,
        stream,
        seen.created_nanoseconds,
        seen.last_sequence,
    )
    .fetch_one(connection)
    .await?;
    Ok(u64::try_from(again).unwrap_or_default())
}

/// Deletes a batch of published events that no stream keeps any more. Answers whether there may be more.
pub(crate) async fn prune_outbox(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let pruned = sqlx::query!(
        "DELETE FROM outbox WHERE seq IN (
             SELECT seq FROM outbox
             WHERE created_at < now() - interval '7 days' AND published_at IS NOT NULL
             ORDER BY created_at LIMIT $1
         )",
        PRUNE_BATCH
    )
    .execute(connection)
    .await?;
    Ok(pruned.rows_affected() >= PRUNE_BATCH.unsigned_abs())
}

/// Remembers that a consumer handles an event. False when it has done so before; a copy that is being handled at this
/// moment is waited for.
pub(crate) async fn note_handled(connection: &mut PgConnection, consumer: &str, event_id: Uuid) -> sqlx::Result<bool> {
    let noted = sqlx::query!(
        "INSERT INTO inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        consumer,
        event_id
    )
    .execute(connection)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// Deletes a batch of what can come no more: an event is published again for 7 days, and kept by the stream for 7 more.
pub(crate) async fn prune_inbox(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let pruned = sqlx::query!(
        "DELETE FROM inbox WHERE (consumer, event_id) IN (
             SELECT consumer, event_id FROM inbox WHERE handled_at < now() - interval '15 days' LIMIT $1
         )",
        PRUNE_BATCH
    )
    .execute(connection)
    .await?;
    Ok(pruned.rows_affected() >= PRUNE_BATCH.unsigned_abs())
}

pub(crate) async fn bury(connection: &mut PgConnection, letter: &DeadLetter<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO dead_letters (consumer, event_id, subject, headers, payload, deliveries, error)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (consumer, event_id) DO UPDATE SET deliveries = excluded.deliveries, error = excluded.error",
        letter.consumer,
        letter.event_id,
        letter.subject,
        Json(&letter.headers) as _,
        letter.payload,
        letter.deliveries,
        letter.error,
    )
    .execute(connection)
    .await?;
    Ok(())
}
