//! The SQL of the audit log: one more link, a user's own events, and the whole chain.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::audit::{AuditKey, Event, GENESIS, Link};

/// A link with its hash, as stored.
pub(crate) struct StoredLink {
    pub link: Link,
    pub hash: Vec<u8>,
}

struct ChainedRow {
    sequence: i64,
    id: Uuid,
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
    object_id: Option<Uuid>,
    action: String,
    outcome: String,
    address: String,
    user_agent: String,
    created_at: OffsetDateTime,
    hash: Vec<u8>,
}

/// Adds an event to the chain. The last statement before the commit: others that add wait for it.
pub(crate) async fn append_event(connection: &mut PgConnection, key: &AuditKey, event: Event) -> sqlx::Result<()> {
    let head = sqlx::query!(r#"SELECT sequence AS "sequence!", hash AS "hash!" FROM lock_audit_head()"#)
        .fetch_optional(&mut *connection)
        .await?;
    let (sequence, previous) = head.map_or((0, GENESIS.to_vec()), |head| (head.sequence, head.hash));
    let link = event.into_link(sequence + 1);
    let hash = key.hash(&previous, &link);
    sqlx::query!(
        "INSERT INTO audit_events (sequence, id, user_id, session_id, object_id, action, outcome, address, user_agent,
                                   created_at, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        link.sequence,
        link.id,
        link.user_id,
        link.session_id,
        link.object_id,
        link.action,
        link.outcome,
        link.address,
        link.user_agent,
        link.created_at,
        hash.as_slice()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A user's events, newest first, from before the link `before` on.
pub(crate) async fn list_events(
    connection: &mut PgConnection,
    user_id: Uuid,
    before: Option<i64>,
    limit: i64,
) -> sqlx::Result<Vec<Link>> {
    sqlx::query_as!(
        Link,
        "SELECT sequence, id, user_id, session_id, object_id, action, outcome, address, user_agent, created_at
         FROM audit_events
         WHERE user_id = $1 AND ($2::bigint IS NULL OR sequence < $2)
         ORDER BY sequence DESC
         LIMIT $3",
        user_id,
        before,
        limit
    )
    .fetch_all(connection)
    .await
}

/// The number of the newest event; 0 when there is none.
pub(crate) async fn audit_head(connection: &mut PgConnection) -> sqlx::Result<i64> {
    let head = sqlx::query_scalar!(r#"SELECT sequence AS "sequence!" FROM lock_audit_head()"#)
        .fetch_optional(connection)
        .await?;
    Ok(head.unwrap_or_default())
}

/// The next links of everybody after `sequence`, up to `up_to`; none at all unless the transaction is an admin's.
pub(crate) async fn links_for_admin(
    connection: &mut PgConnection,
    sequence: i64,
    up_to: i64,
    limit: i64,
) -> sqlx::Result<Vec<StoredLink>> {
    let rows = sqlx::query_as!(
        ChainedRow,
        r#"SELECT sequence AS "sequence!", id AS "id!", user_id, session_id, object_id, action AS "action!",
                  outcome AS "outcome!", address AS "address!", user_agent AS "user_agent!", created_at AS "created_at!",
                  hash AS "hash!"
           FROM audit_links_for_admin($1, $2, $3)"#,
        sequence,
        up_to,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(StoredLink::from).collect())
}

/// The next links of everybody after `sequence`, for the role that owns the table.
pub(crate) async fn links_after(
    connection: &mut PgConnection,
    sequence: i64,
    limit: i64,
) -> sqlx::Result<Vec<StoredLink>> {
    let rows = sqlx::query_as!(
        ChainedRow,
        "SELECT sequence, id, user_id, session_id, object_id, action, outcome, address, user_agent, created_at, hash
         FROM audit_events WHERE sequence > $1 ORDER BY sequence LIMIT $2",
        sequence,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(StoredLink::from).collect())
}

impl From<ChainedRow> for StoredLink {
    fn from(row: ChainedRow) -> StoredLink {
        StoredLink {
            hash: row.hash,
            link: Link {
                sequence: row.sequence,
                id: row.id,
                user_id: row.user_id,
                session_id: row.session_id,
                object_id: row.object_id,
                action: row.action,
                outcome: row.outcome,
                address: row.address,
                user_agent: row.user_agent,
                created_at: row.created_at,
            },
        }
    }
}
