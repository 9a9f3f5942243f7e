//! Writing events next to the changes that they tell of, and reading them back.

use service::trace;
use sqlx::PgConnection;
use uuid::Uuid;

/// An event to be published when the transaction has committed.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Where it is published: [`subject`] for events, `jobs.<kind>` for the work queue.
    pub subject: String,
    /// The full name of the payload's message, such as `bookmesh.bookmarks.v1.BookmarkCreated`.
    pub event_type: &'static str,
    /// Whose it is.
    pub owner_id: Uuid,
    /// What changed. Events of one aggregate are published in the order in which they were put.
    pub aggregate_id: Uuid,
    /// The aggregate's version after the change. The writer holds the aggregate's row lock when it puts the event: that
    /// makes the order of versions the order of commits.
    pub version: i64,
    /// The encoded message, at most a million bytes.
    pub payload: Vec<u8>,
}

/// An event of an aggregate, read back.
#[derive(Debug, Clone)]
pub struct Change {
    /// The aggregate's version after the change.
    pub version: i64,
    /// The encoded message.
    pub payload: Vec<u8>,
}

/// The subject of an event: `evt.<service>.<event>.<owner>`, so that one owner's events can be listened to alone.
pub fn subject(service: &str, event: &str, owner: Uuid) -> String {
    format!("evt.{service}.{event}.{owner}")
}

/// Writes an event in the caller's transaction and answers its id. It belongs to the trace of the current span.
///
/// After the commit, wake the relay: [`crate::Waker::wake`].
pub async fn put(connection: &mut PgConnection, event: NewEvent) -> sqlx::Result<Uuid> {
    let event_id = Uuid::now_v7();
    sqlx::query!(
        "INSERT INTO outbox (event_id, subject, event_type, owner_id, aggregate_id, version, payload, traceparent)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        event_id,
        event.subject,
        event.event_type,
        event.owner_id,
        event.aggregate_id,
        event.version,
        event.payload,
        trace::current_traceparent(),
    )
    .execute(connection)
    .await?;
    Ok(event_id)
}

/// The events of `event_type` about an owner's aggregate after `version`, in order, as far as they are still kept.
pub async fn changes_after(
    connection: &mut PgConnection,
    owner: Uuid,
    aggregate_id: Uuid,
    event_type: &str,
    version: i64,
    limit: i64,
) -> sqlx::Result<Vec<Change>> {
    sqlx::query_as!(
        Change,
        "SELECT version, payload FROM outbox
         WHERE aggregate_id = $1 AND version > $2 AND owner_id = $3 AND event_type = $4
         ORDER BY version LIMIT $5",
        aggregate_id,
        version,
        owner,
        event_type,
        limit,
    )
    .fetch_all(connection)
    .await
}
