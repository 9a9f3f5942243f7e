//! The stream of events as the index reads it: in order, without gaps, a few at a time.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, anyhow, ensure};
use async_nats::jetstream::{
    self, Message,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
};
use outbox::Event;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    events::{self, Change},
    search::writer::{Checkpoint, Writer},
};

pub(super) type Messages = pull::Stream;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// A change is findable within a second: this long at most it waits for others to be committed with.
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// When nothing more has come for this long, nothing is waited for.
const QUIET: Duration = Duration::from_millis(20);
/// So much at once is an import on its way: committing each of its batches by itself would cost more than it gives.
const LOAD_BYTES: usize = 64 * 1024;
const MAX_GATHERED_BYTES: usize = 4 * 1024 * 1024;
const MESSAGES_PER_REQUEST: usize = 64;
const REQUEST_EXPIRES: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(2);
/// The server forgets the consumer of a process that is gone.
const INACTIVE: Duration = Duration::from_secs(60);

/// Where the stream is.
pub(super) struct Position {
    epoch: i128,
    first: u64,
    last: u64,
}

/// Events on their way into the index.
pub(super) struct Gathered {
    events: Vec<Event>,
    bytes: usize,
    uncommitted_bytes: usize,
    checkpoint: Checkpoint,
    /// The place in the consumer, which counts without gaps.
    consumed: u64,
    lag: u64,
    first_at: Option<Instant>,
    last_at: Instant,
    reached: HashMap<Uuid, i64>,
}

pub(super) enum Reading {
    Read,
    Unreadable(anyhow::Error),
}

pub(super) async fn position(stream: &mut jetstream::stream::Stream) -> anyhow::Result<Position> {
    let info = tokio::time::timeout(REQUEST_TIMEOUT, stream.info())
        .await
        .context("asking about the stream")?;
    let info = info.context("asking about the stream")?;
    Ok(Position {
        epoch: info.created.unix_timestamp_nanos(),
        first: info.state.first_sequence,
        last: info.state.last_sequence,
    })
}

/// The messages behind `sequence`.
pub(super) async fn messages(stream: &jetstream::stream::Stream, sequence: u64) -> anyhow::Result<Messages> {
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: sequence + 1,
        },
        // What counts is the checkpoint in the index; a gap is seen by its number.
        ack_policy: AckPolicy::None,
        filter_subject: events::ALL_SUBJECTS.to_owned(),
        inactive_threshold: INACTIVE,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let consumer: PullConsumer = stream.create_consumer(config).await.context("making a consumer")?;
    let messages = consumer.stream().max_messages_per_batch(MESSAGES_PER_REQUEST);
    messages
        .expires(REQUEST_EXPIRES)
        .heartbeat(HEARTBEAT)
        .messages()
        .await
        .context("asking for messages")
}

/// Writes events into the index. One that cannot be read is counted and left out: waiting for it would stop all others.
pub(super) fn apply(writer: &mut Writer, gathered: &[Event], unreadable: &Counter) -> anyhow::Result<()> {
    for event in gathered {
        let changes = match events::changes(&event.event_type, &event.payload) {
            Ok(changes) => changes,
            Err(error) => {
                unreadable.inc();
                tracing::error!(event.id = %event.id, error = format!("{error:#}"), "an event cannot be indexed");
                continue;
            }
        };
        for change in changes {
            match change {
                Change::Saved(bookmark) => writer.put(event.owner_id, &bookmark),
                Change::Deleted { id, version } => writer.delete(event.owner_id, id, version),
                Change::OwnerDeleted => {
                    writer.forget(event.owner_id);
                    Ok(())
                }
            }
            .context("writing the index")?;
        }
    }
    Ok(())
}

impl Position {
    /// Whether the checkpoint is of this stream, not of one that was before it.
    pub(super) fn has(&self, checkpoint: Checkpoint) -> bool {
        checkpoint.epoch == self.epoch && checkpoint.sequence <= self.last
    }

    /// Whether an index at the checkpoint misses nothing that the stream no longer has.
    pub(super) fn continues(&self, checkpoint: Option<Checkpoint>) -> bool {
        checkpoint.is_some_and(|checkpoint| self.has(checkpoint) && checkpoint.sequence + 1 >= self.first)
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            epoch: self.epoch,
            sequence: self.last,
        }
    }
}

impl Gathered {
    pub(super) fn behind(checkpoint: Checkpoint) -> Gathered {
        Gathered {
            events: Vec::new(),
            bytes: 0,
            uncommitted_bytes: 0,
            checkpoint,
            consumed: 0,
            lag: 0,
            first_at: None,
            last_at: Instant::now(),
            reached: HashMap::new(),
        }
    }

    /// Takes the next message. A gap before it is an error.
    pub(super) fn take(&mut self, message: &Message) -> anyhow::Result<Reading> {
        let info = message.info().map_err(|error| anyhow!("reading a delivery: {error}"))?;
        ensure!(
            info.consumer_sequence == self.consumed + 1,
            "messages were lost on the way"
        );
        self.consumed = info.consumer_sequence;
        self.checkpoint.sequence = info.stream_sequence;
        self.lag = info.pending;
        self.last_at = Instant::now();
        self.first_at.get_or_insert(self.last_at);
        match Event::from_message(message) {
            Ok(event) => {
                self.bytes += event.payload.len();
                self.uncommitted_bytes += event.payload.len();
                let reached = self.reached.entry(event.owner_id).or_default();
                *reached = event.version.max(*reached);
                self.events.push(event);
                Ok(Reading::Read)
            }
            Err(error) => Ok(Reading::Unreadable(error)),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= MAX_GATHERED_BYTES
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.first_at.is_some()
    }

    pub(super) fn commit_at(&self) -> Option<Instant> {
        let latest = self.first_at? + LONGEST_WAIT;
        let is_load = self.uncommitted_bytes >= LOAD_BYTES;
        Some(if is_load {
            latest
        } else {
            latest.min(self.last_at + QUIET)
        })
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }

    pub(super) fn lag(&self) -> i64 {
        i64::try_from(self.lag).unwrap_or(i64::MAX)
    }

    pub(super) fn take_events(&mut self) -> Vec<Event> {
        self.bytes = 0;
        std::mem::take(&mut self.events)
    }

    /// After a commit: how far each owner has come.
    pub(super) fn committed(&mut self) -> HashMap<Uuid, i64> {
        self.first_at = None;
        self.uncommitted_bytes = 0;
        std::mem::take(&mut self.reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_goes_on_only_where_the_stream_still_has_what_it_misses() {
        let position = Position {
            epoch: 1,
            first: 10,
            last: 20,
        };
        let at = |epoch, sequence| Some(Checkpoint { epoch, sequence });

        for (checkpoint, goes_on) in [
            (at(1, 9), true),
            (at(1, 20), true),
            (at(1, 8), false),
            (at(1, 21), false),
            (at(2, 15), false),
            (None, false),
        ] {
            assert_eq!(position.continues(checkpoint), goes_on, "{checkpoint:?}");
        }
    }
}
