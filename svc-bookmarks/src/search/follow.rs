//! Keeping the index in step: it follows the events, and is made again from Postgres when it or the stream is lost.

mod stream;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use async_nats::jetstream::{self, Message};
use futures::StreamExt;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use sqlx::PgPool;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use self::stream::{Gathered, Messages, Reading};
use crate::search::{
    Search,
    rebuild::Rebuild,
    writer::{Checkpoint, Writer},
};

const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// What the index counts.
#[derive(Clone, Default)]
pub struct Metrics {
    rebuilds: Counter,
    rebuilding: Gauge,
    lag: Gauge,
    failures: Counter,
    unreadable: Counter,
}

/// The one that writes the index of this process.
pub struct Follower {
    pub search: Arc<Search>,
    pub pool: PgPool,
    pub nats: async_nats::Client,
    pub folder: PathBuf,
    pub metrics: Metrics,
    pub shutdown: CancellationToken,
}

/// Why following ended, other than by an error.
enum Ended {
    ByShutdown,
    /// The index or the stream is not what it was.
    ForANewStart(&'static str),
}

impl Metrics {
    pub fn register(registry: &service::metrics::Metrics) -> Metrics {
        let metrics = Metrics::default();
        registry.register(
            "search_rebuilds",
            "Times the index was made again from Postgres",
            metrics.rebuilds.clone(),
        );
        registry.register(
            "search_rebuilding",
            "Whether the index is being made again",
            metrics.rebuilding.clone(),
        );
        registry.register(
            "search_lag_events",
            "Events that the index has not read yet",
            metrics.lag.clone(),
        );
        registry.register(
            "search_failures",
            "Times following the events began again",
            metrics.failures.clone(),
        );
        registry.register(
            "search_unreadable_events",
            "Events that could not be read",
            metrics.unreadable.clone(),
        );
        metrics
    }
}

impl Follower {
    /// Works until the shutdown. Only an index folder that cannot be used ends it early.
    pub async fn run(self) -> anyhow::Result<()> {
        while !self.shutdown.is_cancelled() {
            let folder = self.folder.clone();
            let writer = tokio::task::spawn_blocking(move || Writer::open(&folder)).await??;
            self.search.progress.forget();
            self.search.set_complete(writer.checkpoint().is_some());
            self.search.show(writer.index());
            match self.follow(writer).await {
                Ok(Ended::ByShutdown) => break,
                Ok(Ended::ForANewStart(reason)) => {
                    tracing::warn!(reason, "the search index starts anew");
                }
                Err(error) => {
                    self.metrics.failures.inc();
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "the search index cannot follow, trying again"
                    );
                    self.shutdown
                        .run_until_cancelled(tokio::time::sleep(PAUSE_AFTER_ERROR))
                        .await;
                }
            }
        }
        Ok(())
    }

    async fn follow(&self, mut writer: Writer) -> anyhow::Result<Ended> {
        let Some(mut stream) = self.shutdown.run_until_cancelled(self.stream()).await else {
            return Ok(Ended::ByShutdown);
        };
        let now = stream::position(&mut stream).await?;
        if !now.continues(writer.checkpoint()) {
            let Some(rebuilt) = self.rebuild(writer, now.checkpoint()).await? else {
                return Ok(Ended::ByShutdown);
            };
            writer = rebuilt;
        }
        let checkpoint = writer
            .checkpoint()
            .context("the index has just been given a checkpoint")?;
        let messages = stream::messages(&stream, checkpoint.sequence).await?;
        self.read(writer, stream, messages, checkpoint).await
    }

    /// The stream is made by whoever publishes first.
    async fn stream(&self) -> jetstream::stream::Stream {
        let context = jetstream::new(self.nats.clone());
        loop {
            match context.get_stream(outbox::EVENTS_STREAM).await {
                Ok(stream) => return stream,
                Err(error) => tracing::debug!(%error, "waiting for the stream of events"),
            }
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
        }
    }

    /// All that was published up to the checkpoint is in Postgres, so reading Postgres now misses nothing of it.
    async fn rebuild(&self, writer: Writer, checkpoint: Checkpoint) -> anyhow::Result<Option<Writer>> {
        tracing::info!("making the search index from the database");
        self.metrics.rebuilds.inc();
        self.metrics.rebuilding.set(1);
        self.search.set_complete(false);
        let rebuild = Rebuild {
            pool: &self.pool,
            search: &self.search,
            shutdown: &self.shutdown,
        };
        let rebuilt = rebuild.run(writer).await;
        self.metrics.rebuilding.set(0);
        let Some(writer) = rebuilt? else { return Ok(None) };
        let writer = blocking(writer, move |writer| Ok(writer.commit(Some(checkpoint))?)).await?;
        self.search.set_complete(true);
        tracing::info!("the search index is complete");
        Ok(Some(writer))
    }

    async fn read(
        &self,
        mut writer: Writer,
        mut stream: jetstream::stream::Stream,
        mut messages: Messages,
        checkpoint: Checkpoint,
    ) -> anyhow::Result<Ended> {
        let mut check = tokio::time::interval(CHECK_EVERY);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gathered = Gathered::behind(checkpoint);
        loop {
            tokio::select! {
                message = messages.next() => {
                    let message = message.context("the messages have ended")?.context("receiving a message")?;
                    self.take(&mut gathered, &message)?;
                    if gathered.is_full() {
                        writer = self.apply(writer, &mut gathered).await?;
                    }
                }
                () = tokio::time::sleep_until(gathered.commit_at().unwrap_or_else(far_away)), if gathered.is_dirty() => {
                    writer = self.commit(writer, &mut gathered).await?;
                }
                _ = check.tick() => {
                    if let Some(reason) = self.check(&writer, &mut stream, gathered.checkpoint()).await? {
                        return Ok(Ended::ForANewStart(reason));
                    }
                }
                () = self.shutdown.cancelled() => {
                    self.commit(writer, &mut gathered).await?;
                    return Ok(Ended::ByShutdown);
                }
            }
        }
    }

    fn take(&self, gathered: &mut Gathered, message: &Message) -> anyhow::Result<()> {
        match gathered.take(message)? {
            Reading::Read => {}
            Reading::Unreadable(error) => {
                self.metrics.unreadable.inc();
                tracing::error!(error = format!("{error:#}"), "an event cannot be indexed");
            }
        }
        self.metrics.lag.set(gathered.lag());
        Ok(())
    }

    async fn apply(&self, writer: Writer, gathered: &mut Gathered) -> anyhow::Result<Writer> {
        let events = gathered.take_events();
        let unreadable = self.metrics.unreadable.clone();
        blocking(writer, move |writer| stream::apply(writer, &events, &unreadable)).await
    }

    async fn commit(&self, writer: Writer, gathered: &mut Gathered) -> anyhow::Result<Writer> {
        let writer = self.apply(writer, gathered).await?;
        let checkpoint = gathered.checkpoint();
        let writer = blocking(writer, move |writer| Ok(writer.commit(Some(checkpoint))?)).await?;
        self.search.progress.advance(gathered.committed());
        Ok(writer)
    }

    /// What says that the index cannot go on from where it is.
    async fn check(
        &self,
        writer: &Writer,
        stream: &mut jetstream::stream::Stream,
        checkpoint: Checkpoint,
    ) -> anyhow::Result<Option<&'static str>> {
        if !tokio::fs::try_exists(writer.heart()).await.unwrap_or(false) {
            return Ok(Some("the index folder is gone"));
        }
        let now = stream::position(stream).await?;
        Ok((!now.has(checkpoint)).then_some("the stream of events was made anew"))
    }
}

/// Runs work on the writer where blocking is allowed. After an error the writer is gone, and the index is opened again.
pub(super) async fn blocking<W>(mut writer: Writer, work: W) -> anyhow::Result<Writer>
where
    W: FnOnce(&mut Writer) -> anyhow::Result<()> + Send + 'static,
{
    tokio::task::spawn_blocking(move || work(&mut writer).map(|()| writer))
        .await
        .context("writing the index")?
}

fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}
