//! The work queue: hints that work is due, each for one worker. What has to be done, and whether, its owner knows.

use std::time::Duration;

use anyhow::anyhow;
use async_nats::{
    Client,
    jetstream::{AckKind, Message},
};
use bytes::Bytes;
use service::trace;
use tracing::Span;

use crate::{event, pull::Puller, streams::Stream};

/// The jobs of one kind: messages on `jobs.<kind>`, shared by all workers of that kind.
pub struct Jobs {
    kind: String,
    puller: Puller,
}

/// A hint that a job is due. Dropped without an answer it comes again after half a minute.
#[derive(Debug)]
pub struct JobMessage {
    kind: String,
    message: Message,
}

impl Jobs {
    /// Nothing is asked of NATS before [`Jobs::next`].
    pub fn new(nats: Client, kind: &str) -> Jobs {
        Jobs {
            kind: kind.to_owned(),
            puller: Puller::new(nats, Stream::Jobs, format!("jobs-{kind}"), format!("jobs.{kind}")),
        }
    }

    /// The next hint, for however long that takes; NATS may go and come back meanwhile. May be dropped while it waits:
    /// nothing is lost.
    pub async fn next(&mut self) -> JobMessage {
        loop {
            if let Some(message) = self.puller.pull(1).await.pop() {
                return JobMessage {
                    kind: self.kind.clone(),
                    message,
                };
            }
        }
    }
}

impl JobMessage {
    /// The message, encoded: whoever put the job says which.
    pub fn payload(&self) -> &Bytes {
        &self.message.payload
    }

    /// A span for the work, in the trace in which the job was queued.
    pub fn span(&self) -> Span {
        let span = tracing::info_span!("job", otel.kind = "consumer", job.kind = self.kind);
        let traceparent = self.message.headers.as_ref().and_then(event::traceparent);
        trace::adopt(&span, traceparent.as_deref());
        span
    }

    /// The hint is used up: the work is done, taken, or no longer to be done.
    pub async fn done(&self) -> anyhow::Result<()> {
        self.answer(AckKind::Ack).await
    }

    /// The hint is to come again after `delay`, here or at another worker.
    pub async fn again(&self, delay: Duration) -> anyhow::Result<()> {
        self.answer(AckKind::Nak(Some(delay))).await
    }

    /// Keeps the hint for another half minute.
    pub async fn keep(&self) -> anyhow::Result<()> {
        self.answer(AckKind::Progress).await
    }

    async fn answer(&self, kind: AckKind) -> anyhow::Result<()> {
        let answered = self.message.ack_with(kind).await;
        answered.map_err(|error| anyhow!("answering a job message: {error}"))
    }
}
