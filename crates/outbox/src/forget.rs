//! Forgetting an owner: events on their way out, letters that nobody could handle, and what the stream keeps.

use anyhow::{Context, anyhow};
use async_nats::Client;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{headers, nats, streams::Stream};

/// Deletes every event about the owner, published or not, and dead letters of theirs; answers how many there were.
pub async fn forget_owner(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<i64> {
    let events = sqlx::query!("DELETE FROM outbox WHERE owner_id = $1", owner)
        .execute(&mut *connection)
        .await?;
    let letters = sqlx::query!(
        "DELETE FROM dead_letters WHERE headers ->> $1 = $2",
        headers::OWNER,
        owner.to_string()
    )
    .execute(connection)
    .await?;
    Ok(i64::try_from(events.rows_affected() + letters.rows_affected()).unwrap_or(i64::MAX))
}

/// Deletes the published events about the owner; answers whether none is left that waits.
pub async fn forget_published(connection: &mut PgConnection, owner: Uuid) -> sqlx::Result<bool> {
    sqlx::query!(
        "DELETE FROM outbox WHERE owner_id = $1 AND published_at IS NOT NULL",
        owner
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (SELECT FROM outbox WHERE owner_id = $1) AS "none_waits!""#,
        owner
    )
    .fetch_one(connection)
    .await
}

/// Has the stream of events forget what was published on a subject.
pub async fn purge(client: &Client, subject: &str) -> anyhow::Result<()> {
    anyhow::ensure!(nats::is_connected(client), "not connected to nats");
    let stream = nats::jetstream(client.clone())
        .get_stream(Stream::Events.name())
        .await
        .context("looking for the stream of events")?;
    let purged = stream.purge().filter(subject).await;
    purged.map_err(|error| anyhow!("purging the stream of events: {error}"))?;
    Ok(())
}
