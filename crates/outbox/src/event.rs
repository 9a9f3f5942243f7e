//! An event as it arrives.

use anyhow::{Context, anyhow};
use async_nats::{HeaderMap, jetstream};
use bytes::Bytes;
use service::trace;
use time::OffsetDateTime;
use tracing::Span;
use uuid::Uuid;

use crate::headers;

/// An event that JetStream has delivered. It may come twice and, after a failure, behind a later one of its aggregate.
#[derive(Debug, Clone)]
pub struct Event {
    /// The same at every delivery.
    pub id: Uuid,
    /// The full name of the payload's message, such as `bookmesh.bookmarks.v1.BookmarkCreated`.
    pub event_type: String,
    /// Whose it is: a handler works as this owner.
    pub owner_id: Uuid,
    /// What changed.
    pub aggregate_id: Uuid,
    /// The aggregate's version after the change.
    pub version: i64,
    /// When it was put.
    pub time: OffsetDateTime,
    /// The encoded message.
    pub payload: Bytes,
    /// Its place in the stream.
    pub stream_sequence: u64,
    /// How often it has been delivered to this consumer, this time included.
    pub deliveries: i64,
    traceparent: Option<String>,
}

impl Event {
    /// Reads the CloudEvents headers of a message of the stream [`crate::EVENTS_STREAM`].
    pub fn from_message(message: &jetstream::Message) -> anyhow::Result<Event> {
        let headers = message.headers.as_ref().context("the message has no headers")?;
        let info = message
            .info()
            .map_err(|error| anyhow!("reading the delivery: {error}"))?;
        Ok(Event {
            id: headers::id(headers, headers::ID)?,
            event_type: headers::text(headers, headers::TYPE)?.to_owned(),
            owner_id: headers::id(headers, headers::OWNER)?,
            aggregate_id: headers::id(headers, headers::SUBJECT)?,
            version: headers::text(headers, headers::VERSION)?
                .parse()
                .context("reading the version")?,
            time: headers::time(headers, headers::TIME)?,
            payload: message.payload.clone(),
            stream_sequence: info.stream_sequence,
            deliveries: info.delivered,
            traceparent: traceparent(headers),
        })
    }

    /// A span for the handling of the event, in the trace in which it was put.
    pub fn span(&self, consumer: &str) -> Span {
        let span = tracing::info_span!(
            "consume",
            otel.kind = "consumer",
            consumer,
            event.id = %self.id,
            event.kind = self.event_type,
        );
        trace::adopt(&span, self.traceparent.as_deref());
        span
    }
}

pub(crate) fn traceparent(headers: &HeaderMap) -> Option<String> {
    headers::text(headers, trace::TRACEPARENT).ok().map(str::to_owned)
}
