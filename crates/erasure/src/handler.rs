//! What happens when svc-auth says that a user is no more.

use anyhow::Context;
use bookmesh_proto::auth::v1::UserDataDeleted;
use outbox::{Event, Handler, NewEvent};
use prost::Message;
use service::{clock, time::to_proto};
use sqlx::PgConnection;

use crate::{Counts, Erase, Names, store};

/// The type of what it answers.
pub const ANSWER: &str = "bookmesh.auth.v1.UserDataDeleted";
const USER_DELETED: &str = "bookmesh.auth.v1.UserDeleted";

/// Handles deletions of users with what the service does about them.
pub(crate) struct Eraser<E> {
    pub(crate) names: Names,
    pub(crate) erase: E,
}

impl<E: Erase> Handler for Eraser<E> {
    /// Data, tombstone and answer are one transaction. svc-auth asks again until it has the answer, so this comes again when
    /// an answer was lost: then it deletes what has slipped in, and answers what it has deleted in all.
    async fn handle(&self, connection: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        if event.event_type != USER_DELETED {
            return Ok(());
        }
        let (owner, now) = (event.owner_id, clock::now());
        store::keep_others_out(connection, owner)
            .await
            .context("waiting for the owner's writes")?;
        let mut counts = self.erase.erase(connection, owner).await?;
        let events = outbox::forget_owner(connection, owner)
            .await
            .context("forgetting events")?;
        let before = store::counts_of(connection, owner)
            .await
            .context("reading what was deleted before")?;
        // After the first time there is nothing but the answer of the time before.
        if before.is_empty() {
            add(&mut counts, "events", events);
        }
        for (kind, count) in before {
            add(&mut counts, &kind, count);
        }
        store::remember(connection, owner, &counts, now)
            .await
            .context("remembering that the owner was deleted")?;
        self.answer(connection, event, counts.clone(), now).await?;
        tracing::info!(user.id = %owner, ?counts, "all data of a deleted user is deleted");
        Ok(())
    }
}

impl<E> Eraser<E> {
    async fn answer(
        &self,
        connection: &mut PgConnection,
        cause: &Event,
        counts: Counts,
        now: time::OffsetDateTime,
    ) -> anyhow::Result<()> {
        let owner = cause.owner_id;
        let answer = UserDataDeleted {
            user_id: owner.to_string(),
            service: self.names.service.to_owned(),
            counts: counts.into_iter().collect(),
            delete_time: Some(to_proto(now)),
        };
        let event = NewEvent {
            subject: outbox::subject(self.names.source, "user_data_deleted", owner),
            event_type: ANSWER,
            owner_id: owner,
            aggregate_id: owner,
            version: cause.version,
            payload: answer.encode_to_vec(),
        };
        outbox::put(connection, event).await.context("putting the answer")?;
        Ok(())
    }
}

fn add(counts: &mut Counts, kind: &str, count: i64) {
    *counts.entry(kind.to_owned()).or_default() += count;
}
