//! Handing events to a handler, each once: the effect and the note that it has been handled are one transaction.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use async_nats::{
    Client, HeaderMap,
    jetstream::{AckKind, Message},
};
use sqlx::{PgConnection, PgPool};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    event::Event,
    metrics::{Metrics, Outcome},
    pull::{Puller, keeping},
    store,
    streams::Stream,
};

const BATCH: usize = 64;
const DATABASE_PAUSE: Duration = Duration::from_millis(500);
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);
/// How long a delivery that failed waits for the next; the one after the last goes to the dead letters.
const RETRY_DELAYS: [Duration; 7] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(600),
    Duration::from_secs(600),
];

/// Which events, and how patiently.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// The consumer's name for all replicas and for ever: it is in the inbox, in JetStream and in the metrics.
    pub durable: &'static str,
    /// Such as `evt.bookmarks.>` or `evt.bookmarks.bookmark_created.*`.
    pub filter_subject: &'static str,
    /// How long each failed delivery waits for the next: one more delivery than there are delays.
    pub retry_delays: Vec<Duration>,
}

impl ConsumerConfig {
    /// Eight deliveries over half an hour.
    pub fn new(durable: &'static str, filter_subject: &'static str) -> ConsumerConfig {
        ConsumerConfig {
            durable,
            filter_subject,
            retry_delays: RETRY_DELAYS.to_vec(),
        }
    }
}

/// What a consumer does with an event.
pub trait Handler: Send + Sync {
    /// Applies the event in the transaction of `connection`, which already belongs to the event's owner. It is called
    /// once for each event that it answered with `Ok`. An older event of an aggregate may come after a newer one when
    /// the older failed at first: handlers compare versions. Events of no concern are answered with `Ok`.
    fn handle(&self, connection: &mut PgConnection, event: &Event) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Consumes until `shutdown`; finishes what it has begun. NATS and Postgres may go and come back meanwhile.
pub async fn consume<H: Handler>(
    config: ConsumerConfig,
    pool: PgPool,
    nats: Client,
    handler: Arc<H>,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut puller = Puller::new(
        nats,
        Stream::Events,
        config.durable.to_owned(),
        config.filter_subject.to_owned(),
    );
    let consumer = Consumer {
        config,
        pool,
        handler,
        metrics,
        shutdown,
    };
    let mut prune_at = Instant::now() + PRUNE_EVERY;
    while let Some(messages) = consumer.shutdown.run_until_cancelled(puller.pull(BATCH)).await {
        keeping(&messages, consumer.handle_all(&messages)).await;
        consumer.report_lag(messages.last());
        if Instant::now() >= prune_at {
            prune_at = Instant::now() + PRUNE_EVERY;
            consumer.prune().await;
        }
    }
    Ok(())
}

struct Consumer<H> {
    config: ConsumerConfig,
    pool: PgPool,
    handler: Arc<H>,
    metrics: Metrics,
    shutdown: CancellationToken,
}

impl<H: Handler> Consumer<H> {
    /// One after the other, so that events of an aggregate keep their order. One that fails is put off, and the next is
    /// not kept waiting.
    async fn handle_all(&self, messages: &[Message]) {
        for message in messages {
            let answer = if self.shutdown.is_cancelled() {
                AckKind::Nak(None)
            } else {
                self.handle_message(message).await
            };
            // An answer that does not arrive brings the message again, and the inbox knows it.
            if let Err(error) = message.ack_with(answer).await {
                tracing::debug!(consumer = self.config.durable, %error, "cannot answer a delivery");
            }
        }
    }

    async fn handle_message(&self, message: &Message) -> AckKind {
        let event = match Event::from_message(message) {
            Ok(event) => event,
            Err(error) => return self.bury(message, None, error).await,
        };
        let span = event.span(self.config.durable);
        self.handle_event(message, &event).instrument(span).await
    }

    async fn handle_event(&self, message: &Message, event: &Event) -> AckKind {
        match self.apply_when_possible(event).await {
            Ok(outcome) => {
                self.metrics.count_handled(self.config.durable, outcome);
                tracing::debug!(?outcome, "event handled");
                AckKind::Ack
            }
            Err(error) => match self.retry_delay(event.deliveries) {
                Some(delay) => self.retry(&error, event, delay),
                None => self.bury(message, Some(event), error).await,
            },
        }
    }

    /// A database that is away is no fault of the event: it is waited for, and the delivery counts for nothing.
    async fn apply_when_possible(&self, event: &Event) -> anyhow::Result<Outcome> {
        loop {
            match self.apply(event).await {
                Err(error) if is_database_away(&error) && !self.shutdown.is_cancelled() => {
                    tracing::debug!(
                        consumer = self.config.durable,
                        error = format!("{error:#}"),
                        "waiting for the database"
                    );
                    tokio::time::sleep(DATABASE_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn apply(&self, event: &Event) -> anyhow::Result<Outcome> {
        let mut transaction = service::postgres::begin(&self.pool, event.owner_id).await?;
        if !store::note_handled(&mut transaction, self.config.durable, event.id).await? {
            return Ok(Outcome::Duplicate);
        }
        match self.handler.handle(&mut transaction, event).await {
            Ok(()) => transaction.commit().await?,
            // What comes late for an owner who was deleted must not bring anything back: it is dropped, and not kept as a letter.
            Err(error) if is_of_deleted_owner(&error) => return Ok(Outcome::OwnerDeleted),
            Err(error) => return Err(error),
        }
        Ok(Outcome::Applied)
    }

    fn retry_delay(&self, deliveries: i64) -> Option<Duration> {
        let failures = usize::try_from(deliveries).unwrap_or_default().max(1);
        self.config.retry_delays.get(failures - 1).copied()
    }

    fn retry(&self, error: &anyhow::Error, event: &Event, delay: Duration) -> AckKind {
        self.metrics.count_handled(self.config.durable, Outcome::Retried);
        tracing::warn!(
            consumer = self.config.durable,
            event.id = %event.id,
            deliveries = event.deliveries,
            error = format!("{error:#}"),
            "handling an event failed, it comes again"
        );
        AckKind::Nak(Some(delay))
    }

    /// Ends the deliveries only when the letter is written.
    async fn bury(&self, message: &Message, event: Option<&Event>, error: anyhow::Error) -> AckKind {
        let letter = store::DeadLetter {
            consumer: self.config.durable,
            event_id: event.map(|event| event.id),
            subject: message.subject.as_str(),
            headers: message.headers.as_ref().map(readable).unwrap_or_default(),
            payload: &message.payload,
            deliveries: event.map_or(1, |event| event.deliveries),
            error: format!("{error:#}"),
        };
        if let Err(unwritten) = self.write(&letter).await {
            tracing::warn!(consumer = self.config.durable, error = %unwritten, "cannot write a dead letter");
            return AckKind::Nak(self.config.retry_delays.last().copied());
        }
        self.metrics.count_handled(self.config.durable, Outcome::DeadLettered);
        tracing::error!(
            consumer = self.config.durable,
            event.id = event.map(|event| event.id.to_string()),
            error = letter.error,
            "an event could not be handled and lies in dead_letters"
        );
        AckKind::Term
    }

    async fn write(&self, letter: &store::DeadLetter<'_>) -> sqlx::Result<()> {
        let mut connection = self.pool.acquire().await?;
        store::bury(&mut connection, letter).await
    }

    fn report_lag(&self, last: Option<&Message>) {
        let pending = last
            .and_then(|message| message.info().ok())
            .map_or(0, |info| info.pending);
        self.metrics.set_lag(self.config.durable, pending);
    }

    async fn prune(&self) {
        if let Err(error) = self.try_prune().await {
            tracing::warn!(consumer = self.config.durable, %error, "cannot prune the inbox, trying again in an hour");
        }
    }

    async fn try_prune(&self) -> sqlx::Result<()> {
        let mut connection = self.pool.acquire().await?;
        while store::prune_inbox(&mut connection).await? {}
        Ok(())
    }
}

fn is_database_away(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(service::postgres::is_unavailable)
}

fn is_of_deleted_owner(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(service::postgres::is_owner_deleted)
}

fn readable(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter_map(|(name, values)| Some((name.to_string(), values.first()?.to_string())))
        .collect()
}
