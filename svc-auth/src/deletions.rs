//! Deleted users, until every service has said that it keeps nothing of them.

use std::time::Duration;

use anyhow::{Context, ensure};
use bookmesh_proto::auth::v1::{UserDataDeleted, UserDeleted};
use outbox::{Event, Handler, NewEvent, Waker};
use prost::Message;
use service::{clock, postgres, time::to_proto};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    audit::{self, Action, AuditKey, Outcome},
    origin::Origin,
    store,
};

/// The durable consumer of what services answer, and where they do.
pub(crate) const CONSUMER: &str = "svc-auth-deletions";
pub(crate) const ANSWERS: &str = "evt.*.user_data_deleted.*";

const USER_DELETED: &str = "bookmesh.auth.v1.UserDeleted";
const USER_DATA_DELETED: &str = "bookmesh.auth.v1.UserDataDeleted";
/// Everybody who keeps something of users.
const SERVICES: [&str; 4] = ["svc-bookmarks", "svc-enrich", "svc-import", "svc-task"];

const SWEEP_EVERY: Duration = Duration::from_secs(2);
const AT_ONCE: i64 = 100;
/// How many times the services are asked before somebody should look why one does not answer.
const PATIENCE_ASKS: i32 = 6;

/// Tells the services, in the transaction that deletes the user, and again while one has not answered.
pub(crate) async fn put_user_deleted(
    connection: &mut PgConnection,
    user_id: Uuid,
    ask: i32,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let message = UserDeleted {
        user_id: user_id.to_string(),
        delete_time: Some(to_proto(now)),
    };
    let event = NewEvent {
        subject: outbox::subject("auth", "user_deleted", user_id),
        event_type: USER_DELETED,
        owner_id: user_id,
        aggregate_id: user_id,
        version: i64::from(ask),
        payload: message.encode_to_vec(),
    };
    outbox::put(connection, event).await?;
    Ok(())
}

/// Collects what the services answer.
pub(crate) struct Answers {
    pub audit_key: AuditKey,
}

impl Handler for Answers {
    async fn handle(&self, connection: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        if event.event_type != USER_DATA_DELETED {
            return Ok(());
        }
        let answer = UserDataDeleted::decode(event.payload.clone()).context("reading UserDataDeleted")?;
        let user_id = event.owner_id;
        ensure!(
            answer.user_id == user_id.to_string(),
            "the event's user differs from its header's"
        );
        ensure!(
            SERVICES.contains(&answer.service.as_str()),
            "an answer of an unknown service"
        );
        let (counts, now) = (answer.counts.into_iter().collect(), clock::now());

        let answered = store::note_proof(connection, user_id, &answer.service, &counts, now).await?;
        if SERVICES
            .iter()
            .all(|service| answered.iter().any(|name| name == service))
        {
            self.complete(connection, user_id, now).await?;
        }
        Ok(())
    }
}

impl Answers {
    /// The proofs stay; the events that asked for them are of no use any more.
    async fn complete(&self, connection: &mut PgConnection, user_id: Uuid, now: OffsetDateTime) -> anyhow::Result<()> {
        store::complete_deletion(connection, user_id, now).await?;
        outbox::forget_owner(connection, user_id).await?;
        let (action, outcome) = (Action::UserDataDeleted, Outcome::Succeeded);
        let event = audit::Event::new(Some(user_id), action, outcome, &Origin::default(), now);
        store::append_event(connection, &self.audit_key, event).await?;
        tracing::info!(user.id = %user_id, "every service has deleted what it had of a user");
        Ok(())
    }
}

/// Asks again for answers that did not come: their events may have been lost with NATS, or the service was away.
pub(crate) async fn sweep(pool: PgPool, waker: Waker, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut failing = false;
    while shutdown
        .run_until_cancelled(tokio::time::sleep(SWEEP_EVERY))
        .await
        .is_some()
    {
        match sweep_once(&pool, &waker, clock::now()).await {
            Ok(()) => failing = false,
            Err(error) if !std::mem::replace(&mut failing, true) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "cannot look after deletions, trying again"
                );
            }
            Err(_) => {}
        }
    }
    Ok(())
}

async fn sweep_once(pool: &PgPool, waker: &Waker, now: OffsetDateTime) -> anyhow::Result<()> {
    store::prune_ended_ids(pool, now)
        .await
        .context("forgetting ended ids")?;
    let overdue = store::overdue_deletions(pool, now, AT_ONCE).await;
    for user_id in overdue.context("looking for deletions")? {
        ask_again(pool, user_id, now)
            .await
            .context("asking for a deletion again")?;
        waker.wake();
    }
    Ok(())
}

async fn ask_again(pool: &PgPool, user_id: Uuid, now: OffsetDateTime) -> sqlx::Result<()> {
    let mut transaction = postgres::begin(pool, user_id).await?;
    let Some(asks) = store::ask_again(&mut transaction, user_id, now).await? else {
        return Ok(());
    };
    put_user_deleted(&mut transaction, user_id, asks, now).await?;
    transaction.commit().await?;
    if asks == PATIENCE_ASKS {
        tracing::error!(user.id = %user_id, asks, "a service does not say that it has deleted what it has of a user");
    }
    Ok(())
}
