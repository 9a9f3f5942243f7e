//! Carrying what was put into the outbox to JetStream, in order, one relay per schema at a time.

mod publish;
mod reconcile;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use async_nats::{Client, jetstream};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, nats, store};

const SHORTEST_POLL: Duration = Duration::from_millis(20);
const LONGEST_POLL: Duration = Duration::from_secs(1);
const LEAD_EVERY: Duration = Duration::from_secs(1);
const RECONCILE_EVERY: Duration = Duration::from_secs(2);
const MEASURE_EVERY: Duration = Duration::from_secs(5);
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);

/// Publishes the outbox of one schema. Of several relays one works; another takes over when its connection ends.
#[derive(Debug)]
pub struct Relay {
    pool: PgPool,
    nats: Client,
    context: jetstream::Context,
    source: &'static str,
    metrics: Metrics,
    waker: Waker,
}

/// Tells the relay of this process that something has been committed.
#[derive(Debug, Clone, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// To be called after the commit. Forgotten, or in another process than the active relay's, the event is found by
    /// polling, within a second.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

impl Relay {
    /// `source` names the service in the events it publishes.
    pub fn new(pool: PgPool, nats: Client, source: &'static str, metrics: Metrics) -> Relay {
        Relay {
            pool,
            context: nats::jetstream(nats.clone()),
            nats,
            source,
            metrics,
            waker: Waker::default(),
        }
    }

    /// For whoever commits events in this process.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Works until `shutdown`. Postgres and NATS may go and come back meanwhile; what waits is published then.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut failing = false;
        while !shutdown.is_cancelled() {
            match self.work(&shutdown, &mut failing).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(
                            error = format!("{error:#}"),
                            "the outbox relay lost its database, trying again"
                        );
                    }
                    shutdown.run_until_cancelled(tokio::time::sleep(LEAD_EVERY)).await;
                }
            }
        }
        Ok(())
    }

    /// Publishes all that waits now and answers how many events that was; zero when another relay leads.
    pub async fn run_once(&self) -> anyhow::Result<usize> {
        let mut connection = self.connect().await?;
        let mut published = 0;
        if store::try_lead(&mut connection).await? {
            self.reconcile(&mut connection).await?;
            loop {
                match self.publish_head(&mut connection).await? {
                    0 => break,
                    count => published += count,
                }
            }
            store::stop_leading(&mut connection).await?;
        }
        connection.close().await.context("closing the relay's connection")?;
        Ok(published)
    }

    /// The lock lives and dies with this connection, and all of the relay's own statements go through it: a relay that
    /// has lost the lock cannot write.
    async fn work(&self, shutdown: &CancellationToken, failing: &mut bool) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        while !store::try_lead(&mut connection).await? {
            if shutdown
                .run_until_cancelled(tokio::time::sleep(LEAD_EVERY))
                .await
                .is_none()
            {
                return Ok(());
            }
        }
        tracing::info!("the outbox relay is active");
        *failing = false;
        let mut shift = Shift::new();
        while !shutdown.is_cancelled() {
            self.take_turn(&mut connection, &mut shift).await?;
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.waker.0.notified(), if !shift.nats_away => shift.poll = SHORTEST_POLL,
                () = tokio::time::sleep(shift.poll) => {}
            }
        }
        self.metrics.set_unpublished(0, Duration::ZERO);
        store::stop_leading(&mut connection).await?;
        connection.close().await.context("closing the relay's connection")
    }

    /// Of Postgres' own: the relay never takes a connection from requests.
    async fn connect(&self) -> anyhow::Result<PgConnection> {
        PgConnection::connect_with(&self.pool.connect_options())
            .await
            .context("connecting the outbox relay")
    }

    /// Fails only when Postgres does. Trouble with NATS is waited out.
    async fn take_turn(&self, connection: &mut PgConnection, shift: &mut Shift) -> anyhow::Result<()> {
        match self.publish_all(connection, shift).await {
            Ok(0) => shift.poll = (shift.poll * 2).min(LONGEST_POLL),
            Ok(_) => shift.poll = SHORTEST_POLL,
            Err(error) if error.is::<sqlx::Error>() => return Err(error),
            Err(error) => shift.note_trouble(&error),
        }
        if shift.measure.is_due() {
            let (count, oldest_age) = store::backlog(connection).await?;
            self.metrics.set_unpublished(count, oldest_age);
        }
        if shift.prune.is_due() {
            while store::prune_outbox(connection).await? {}
        }
        Ok(())
    }

    async fn publish_all(&self, connection: &mut PgConnection, shift: &mut Shift) -> anyhow::Result<usize> {
        anyhow::ensure!(nats::is_connected(&self.nats), "not connected to nats");
        if shift.nats_away || shift.reconcile.is_due() {
            self.reconcile(connection).await?;
        }
        let published = self.publish_head(connection).await?;
        shift.note_success();
        Ok(published)
    }
}

/// What the active relay keeps in mind between its turns.
struct Shift {
    poll: Duration,
    nats_away: bool,
    reconcile: Every,
    measure: Every,
    prune: Every,
}

impl Shift {
    fn new() -> Shift {
        Shift {
            poll: SHORTEST_POLL,
            nats_away: false,
            reconcile: Every::new(RECONCILE_EVERY),
            measure: Every::new(MEASURE_EVERY),
            prune: Every::new(PRUNE_EVERY),
        }
    }

    fn note_success(&mut self) {
        if std::mem::take(&mut self.nats_away) {
            tracing::info!("publishing events again");
        }
    }

    fn note_trouble(&mut self, error: &anyhow::Error) {
        if !std::mem::replace(&mut self.nats_away, true) {
            tracing::warn!(error = format!("{error:#}"), "cannot publish events, they wait");
            self.poll = SHORTEST_POLL;
        }
        self.poll = (self.poll * 2).min(LONGEST_POLL);
    }
}

/// Something to be done now and then, the first time at once.
struct Every {
    period: Duration,
    due_at: Instant,
}

impl Every {
    fn new(period: Duration) -> Every {
        Every {
            period,
            due_at: Instant::now(),
        }
    }

    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.due_at;
        if due {
            self.due_at = now + self.period;
        }
        due
    }
}
