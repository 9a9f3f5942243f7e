//! Events as news of what has changed: `evt.<source>.<event>.<owner>` makes what is kept of that owner's and source's old.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, Message, Subject, Subscriber};
use futures::StreamExt;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cache::Cache;

const SUBJECTS: &str = "evt.*.*.*";
/// Events of an import come in thousands, and each takes less than a microsecond.
const WAITING_EVENTS: usize = 64 * 1024;
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// A connection that has been silent for so long is taken for cut, whatever TCP thinks of it.
const SILENCE: Duration = Duration::from_secs(3);
const LONGEST_RECONNECT_DELAY: Duration = Duration::from_millis(500);

/// The connection as its callback sees it.
struct Line {
    cache: Arc<Cache>,
    /// Grows whenever events may have been missed.
    gaps: AtomicU64,
    ask: Notify,
}

/// Works until the shutdown; NATS may come and go.
pub(crate) async fn follow(cache: Arc<Cache>, nats_url: String, shutdown: CancellationToken) -> anyhow::Result<()> {
    let line = Arc::new(Line {
        cache,
        gaps: AtomicU64::new(0),
        ask: Notify::new(),
    });
    let client = connect(&nats_url, &line).await?;
    let events = client.subscribe(SUBJECTS).await.context("subscribing to events")?;
    let echo_subject = Subject::from(client.new_inbox());
    let echoes = client.subscribe(echo_subject.clone()).await;
    let echoes = echoes.context("subscribing to the echoes of probes")?;
    let work = listen(&line, &client, echo_subject, events, echoes);
    shutdown.run_until_cancelled(work).await.unwrap_or(Ok(()))
}

async fn connect(nats_url: &str, line: &Arc<Line>) -> anyhow::Result<Client> {
    let line = Arc::clone(line);
    ConnectOptions::new()
        .retry_on_initial_connect()
        .max_reconnects(None)
        .subscription_capacity(WAITING_EVENTS)
        .reconnect_delay_callback(|attempts| {
            let milliseconds = 20 * u64::try_from(attempts).unwrap_or(u64::MAX).min(100);
            Duration::from_millis(milliseconds).min(LONGEST_RECONNECT_DELAY)
        })
        .event_callback(move |event| {
            let line = Arc::clone(&line);
            async move { line.note(&event) }
        })
        .connect(nats_url)
        .await
        .context("connecting to NATS")
}

/// The server handles what one connection sends in order: an echo means that it knows the subscription too.
async fn listen(
    line: &Line,
    client: &Client,
    echo_subject: Subject,
    mut events: Subscriber,
    mut echoes: Subscriber,
) -> anyhow::Result<()> {
    let mut probe = tokio::time::interval(PROBE_EVERY);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            event = events.next() => line.take(&event.context("the events have ended")?),
            echo = echoes.next() => {
                heard = Instant::now();
                line.hear(&echo.context("the echoes have ended")?);
            }
            _ = probe.tick() => {
                if heard.elapsed() > SILENCE {
                    line.lose();
                }
                line.ask(client, &echo_subject).await?;
            }
            () = line.ask.notified() => line.ask(client, &echo_subject).await?,
        }
    }
}

impl Line {
    fn note(&self, event: &Event) {
        match event {
            Event::Connected => self.ask.notify_one(),
            Event::Disconnected | Event::SlowConsumer(_) | Event::Closed => {
                tracing::warn!(%event, "events may be missed, kept answers count as old");
                self.gaps.fetch_add(1, Ordering::SeqCst);
                self.lose();
                self.ask.notify_one();
            }
            event => tracing::debug!(%event, "nats client"),
        }
    }

    fn lose(&self) {
        self.cache.generations.disconnect();
    }

    /// A probe of before a gap says nothing of what is after it.
    async fn ask(&self, client: &Client, echo_subject: &Subject) -> anyhow::Result<()> {
        if client.connection_state() != State::Connected {
            return Ok(());
        }
        let gaps = self.gaps.load(Ordering::SeqCst).to_be_bytes();
        let probe = client.publish(echo_subject.clone(), gaps.to_vec().into());
        probe.await.context("probing the connection for events")
    }

    fn hear(&self, echo: &Message) {
        if *echo.payload == self.gaps.load(Ordering::SeqCst).to_be_bytes() {
            if !self.cache.generations.is_connected() {
                tracing::info!("events tell what has changed");
            }
            self.cache.generations.connect();
        }
    }

    fn take(&self, event: &Message) {
        let mut names = event.subject.split('.').skip(1);
        let source = names.next().unwrap_or_default();
        // Not every event has an owner whose answers could be kept.
        if let Some(owner) = names.nth(1).and_then(|owner| owner.parse::<Uuid>().ok()) {
            self.cache.generations.advance(owner, source);
        }
    }
}
