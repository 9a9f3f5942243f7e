//! A durable pull consumer that outlives its server: whatever goes wrong, it is made again and asked again.

use std::{convert::Infallible, future::Future, time::Duration};

use anyhow::{Context, bail, ensure};
use async_nats::{
    Client,
    jetstream::{
        self, AckKind, Message,
        consumer::{
            AckPolicy, PullConsumer,
            pull::{Batch, Config},
        },
    },
};
use futures::StreamExt;
use tokio::time::Instant;

use crate::{
    nats,
    streams::{self, Stream},
};

/// How long a message may be out before JetStream gives it to somebody else.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(30);
/// How long the server keeps a request for messages. Short: a server that comes back has forgotten the request.
const WAIT: Duration = Duration::from_secs(2);
/// How long after its time an answer may come. One that is given up too early takes its message along, for [`ACK_WAIT`].
const GRACE: Duration = Duration::from_secs(3);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(250);
const MAX_ACK_PENDING: i64 = 1024;

pub(crate) struct Puller {
    client: Client,
    context: jetstream::Context,
    stream: Stream,
    durable: String,
    filter_subject: String,
    consumer: Option<PullConsumer>,
    /// Kept here, so that a message is not lost with a caller that stops waiting for it.
    request: Option<Request>,
    failing: bool,
}

/// A request for one message that the server has not answered yet.
struct Request {
    answer: Batch,
    until: Instant,
}

impl Puller {
    pub(crate) fn new(client: Client, stream: Stream, durable: String, filter_subject: String) -> Puller {
        Puller {
            context: nats::jetstream(client.clone()),
            client,
            stream,
            durable,
            filter_subject,
            consumer: None,
            request: None,
            failing: false,
        }
    }

    /// Waits a while for messages and answers at most `max`: none when there are none or NATS is away. A message in the
    /// answer is ours for [`ACK_WAIT`].
    pub(crate) async fn pull(&mut self, max: usize) -> Vec<Message> {
        match self.try_pull(max).await {
            Ok(messages) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(consumer = self.durable, "consuming again");
                }
                messages
            }
            Err(error) => {
                self.consumer = None;
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(
                        consumer = self.durable,
                        error = format!("{error:#}"),
                        "cannot consume, trying again"
                    );
                }
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                Vec::new()
            }
        }
    }

    /// The first message is waited for; what lies behind it is taken along.
    async fn try_pull(&mut self, max: usize) -> anyhow::Result<Vec<Message>> {
        let mut messages = Vec::from_iter(self.first().await?);
        if !messages.is_empty() && max > 1 {
            let consumer = self.consumer().await?;
            let rest = consumer.fetch().max_messages(max - 1).messages().await;
            collect(rest.context("asking for more messages")?, &mut messages).await;
        }
        Ok(messages)
    }

    /// May be dropped while it waits: the next call goes on waiting for the same answer.
    async fn first(&mut self) -> anyhow::Result<Option<Message>> {
        let request = match self.request.take() {
            Some(request) => request,
            None => self.ask().await?,
        };
        let request = self.request.insert(request);
        let answer = tokio::time::timeout_at(request.until, request.answer.next()).await;
        self.request = None;
        match answer {
            Ok(Some(Ok(message))) => Ok(Some(message)),
            Ok(Some(Err(error))) => bail!("receiving a message: {error}"),
            // The server says that there is nothing.
            Ok(None) => Ok(None),
            // It says nothing at all: it has been away, or it has forgotten the consumer.
            Err(_) => bail!("nats does not answer"),
        }
    }

    async fn ask(&mut self) -> anyhow::Result<Request> {
        // A request made while disconnected would go out later, when nobody waits for its answer any more.
        ensure!(nats::is_connected(&self.client), "not connected to nats");
        let consumer = self.consumer().await?;
        let answer = consumer.batch().max_messages(1).expires(WAIT).messages().await;
        Ok(Request {
            answer: answer.context("asking for a message")?,
            until: Instant::now() + WAIT + GRACE,
        })
    }

    async fn consumer(&mut self) -> anyhow::Result<&PullConsumer> {
        if self.consumer.is_none() {
            streams::ensure(&self.context, self.stream).await?;
            let consumer = self
                .context
                .create_consumer_on_stream(self.config(), self.stream.name())
                .await
                .with_context(|| format!("ensuring the consumer {}", self.durable))?;
            self.consumer = Some(consumer);
        }
        self.consumer.as_ref().context("the consumer was just made")
    }

    fn config(&self) -> Config {
        Config {
            durable_name: Some(self.durable.clone()),
            filter_subject: self.filter_subject.clone(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: MAX_ACK_PENDING,
            // How often is enough is ours to say: a message that the server gives up is in no dead-letter table.
            max_deliver: -1,
            ..Config::default()
        }
    }
}

/// Adds what is there already. An error here is one of the next request too, and what has arrived is ours to handle.
async fn collect(mut batch: Batch, messages: &mut Vec<Message>) {
    let rest = async {
        while let Some(Ok(message)) = batch.next().await {
            messages.push(message);
        }
    };
    // The server ends the batch when it has no more; one that dies meanwhile does not.
    let _ = tokio::time::timeout(GRACE, rest).await;
}

/// Runs `work` while telling JetStream now and then that the messages are still being worked on.
pub(crate) async fn keeping<T>(messages: &[Message], work: impl Future<Output = T>) -> T {
    tokio::select! {
        output = work => output,
        never = keep(messages) => match never {},
    }
}

async fn keep(messages: &[Message]) -> Infallible {
    loop {
        tokio::time::sleep(ACK_WAIT / 3).await;
        for message in messages {
            // One that has been acknowledged stays so. One that cannot be kept comes again.
            let _ = message.ack_with(AckKind::Progress).await;
        }
    }
}
