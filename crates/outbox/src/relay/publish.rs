//! Publishing the head of the outbox: aggregates side by side, the events of one in order.

use std::collections::HashMap;

use anyhow::Context;
use async_nats::jetstream::message::PublishMessage;
use futures::StreamExt;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Relay;
use crate::{
    headers,
    store::{self, UnpublishedEvent},
    streams::Stream,
};

const AGGREGATES_IN_FLIGHT: usize = 128;

/// How far an aggregate's events came.
#[derive(Default)]
struct Progress {
    seqs: Vec<i64>,
    last_sequence: u64,
    error: Option<anyhow::Error>,
}

impl Relay {
    /// Publishes one batch and marks it. When an event fails, the later ones of its aggregate wait; those of others have
    /// gone out, are marked, and the first error is answered.
    pub(super) async fn publish_head(&self, connection: &mut PgConnection) -> anyhow::Result<usize> {
        let events = store::unpublished(connection).await?;
        if events.is_empty() {
            return Ok(0);
        }
        let progress = futures::stream::iter(by_aggregate(events))
            .map(|events| self.publish_in_order(events))
            .buffer_unordered(AGGREGATES_IN_FLIGHT)
            .fold(Progress::default(), |all, one| async { all.and(one) })
            .await;
        let last_sequence = i64::try_from(progress.last_sequence).unwrap_or(i64::MAX);
        store::mark_published(connection, &progress.seqs, Stream::Events.name(), last_sequence).await?;
        self.metrics.add_published(progress.seqs.len());
        progress.error.map_or(Ok(progress.seqs.len()), Err)
    }

    /// Each waits for the acknowledgement of the one before: a lost message is never overtaken.
    async fn publish_in_order(&self, events: Vec<UnpublishedEvent>) -> Progress {
        let mut progress = Progress::default();
        for event in events {
            let seq = event.seq;
            let stream = Stream::of_subject(&event.subject);
            match self.publish(event).await {
                Ok(sequence) => {
                    progress.seqs.push(seq);
                    if stream == Stream::Events {
                        progress.last_sequence = sequence;
                    }
                }
                Err(error) => {
                    progress.error = Some(error);
                    break;
                }
            }
        }
        progress
    }

    async fn publish(&self, event: UnpublishedEvent) -> anyhow::Result<u64> {
        let message = PublishMessage::build()
            .headers(headers::of_event(&event, self.source)?)
            .payload(event.payload.into());
        let acknowledgement = self
            .context
            .send_publish(event.subject, message)
            .await
            .context("publishing an event")?
            .await
            .context("waiting for an event's acknowledgement")?;
        Ok(acknowledgement.sequence)
    }
}

impl Progress {
    fn and(mut self, other: Progress) -> Progress {
        self.seqs.extend(other.seqs);
        self.last_sequence = self.last_sequence.max(other.last_sequence);
        self.error = self.error.or(other.error);
        self
    }
}

/// Events by aggregate; within one in the order in which they were put.
fn by_aggregate(events: Vec<UnpublishedEvent>) -> Vec<Vec<UnpublishedEvent>> {
    let mut places: HashMap<Uuid, usize> = HashMap::new();
    let mut groups: Vec<Vec<UnpublishedEvent>> = Vec::new();
    for event in events {
        let place = *places.entry(event.aggregate_id).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(event);
    }
    groups
}
