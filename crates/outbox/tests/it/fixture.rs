//! One service's outbox with a place of its own among the subjects, and a handler whose effects can be read.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client,
    jetstream::{self, Message, consumer::pull::Config},
};
use devstack::Devstack;
use futures::StreamExt;
use outbox::{ConsumerConfig, Event, Handler, Metrics, NewEvent, Relay};
use sqlx::{Connection, PgConnection, PgPool};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// Longer than JetStream waits before it gives a message to somebody else.
const PATIENCE: Duration = Duration::from_secs(60);
const EFFECTS: &str = "CREATE TABLE effects (
    consumer text, event_id uuid, aggregate_id uuid, version bigint, owner text, at timestamptz DEFAULT clock_timestamp()
)";

pub(crate) struct Fixture {
    pub(crate) pool: PgPool,
    pub(crate) nats: Client,
    /// The service's name in subjects: tests share one stream.
    pub(crate) service: String,
    pub(crate) owner: Uuid,
}

/// What a consumer has done with one event.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Effect {
    pub(crate) event_id: Uuid,
    pub(crate) aggregate_id: Uuid,
    pub(crate) version: i64,
    pub(crate) owner: String,
}

impl Fixture {
    /// On the servers that all tests share.
    pub(crate) async fn new() -> Fixture {
        let database = devstack::fresh_database("outbox").await;
        let nats_url = devstack::shared().await.nats_url();
        Fixture::on(&database.owner_url, &database.app_url, &nats_url).await
    }

    /// On servers that the test may harm.
    pub(crate) async fn alone(stack: &Devstack) -> Fixture {
        devstack::create_schema(&stack.postgres_url("postgres"), "outbox")
            .await
            .unwrap();
        let (owner_url, app_url) = (stack.postgres_url("outbox_owner"), stack.postgres_url("outbox_app"));
        Fixture::on(&owner_url, &app_url, &stack.nats_url()).await
    }

    async fn on(owner_url: &str, app_url: &str, nats_url: &str) -> Fixture {
        service::postgres::migrate(owner_url, &[&outbox::MIGRATOR])
            .await
            .unwrap();
        let mut connection = PgConnection::connect(owner_url).await.unwrap();
        sqlx::raw_sql(EFFECTS).execute(&mut connection).await.unwrap();
        let pool = service::postgres::connect(app_url, 5, &service::metrics::Metrics::new())
            .await
            .unwrap();
        let nats = outbox::connect_nats(nats_url).await.unwrap();
        let fixture = Fixture {
            pool,
            nats,
            service: format!("test{}", Uuid::now_v7().simple()),
            owner: Uuid::now_v7(),
        };
        fixture
            .until("nats is connected", async || fixture.nats.flush().await.is_ok())
            .await;
        fixture
    }

    pub(crate) fn relay(&self, source: &'static str) -> Relay {
        Relay::new(self.pool.clone(), self.nats.clone(), source, Metrics::default())
    }

    /// Runs a relay until the guard is dropped.
    pub(crate) fn start_relay(&self, source: &'static str) -> DropGuard {
        let shutdown = CancellationToken::new();
        tokio::spawn(self.relay(source).run(shutdown.clone()));
        shutdown.drop_guard()
    }

    /// Runs a consumer of this service's events until the guard is dropped.
    pub(crate) fn start_consumer(&self, retry_delays: &[Duration]) -> DropGuard {
        let shutdown = CancellationToken::new();
        let config = ConsumerConfig {
            retry_delays: retry_delays.to_vec(),
            ..ConsumerConfig::new(
                format!("consumer-{}", self.service).leak(),
                format!("evt.{}.>", self.service).leak(),
            )
        };
        let (pool, nats) = (self.pool.clone(), self.nats.clone());
        let handler = Arc::new(Recorder {
            consumer: config.durable,
        });
        tokio::spawn(outbox::consume(
            config,
            pool,
            nats,
            handler,
            Metrics::default(),
            shutdown.clone(),
        ));
        shutdown.drop_guard()
    }

    pub(crate) fn event(&self, aggregate_id: Uuid, version: i64, payload: &str) -> NewEvent {
        NewEvent {
            subject: outbox::subject(&self.service, "thing_changed", self.owner),
            event_type: "test.v1.ThingChanged",
            owner_id: self.owner,
            aggregate_id,
            version,
            payload: payload.as_bytes().to_vec(),
        }
    }

    /// Puts and commits an event.
    pub(crate) async fn put(&self, aggregate_id: Uuid, version: i64, payload: &str) -> Uuid {
        let mut transaction = self.pool.begin().await.unwrap();
        let id = outbox::put(&mut transaction, self.event(aggregate_id, version, payload))
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        id
    }

    /// This service's messages in the stream, oldest first.
    pub(crate) async fn messages(&self) -> Vec<Message> {
        let context = jetstream::new(self.nats.clone());
        let config = Config {
            filter_subject: format!("evt.{}.>", self.service),
            ..Config::default()
        };
        let Ok(consumer) = context.create_consumer_on_stream(config, outbox::EVENTS_STREAM).await else {
            return Vec::new();
        };
        let batch = consumer.fetch().max_messages(1000).messages().await.unwrap();
        batch.map(Result::unwrap).collect().await
    }

    pub(crate) async fn published(&self) -> Vec<Event> {
        let messages = self.messages().await;
        messages
            .iter()
            .map(|message| Event::from_message(message).unwrap())
            .collect()
    }

    /// What the consumer has done, in order.
    pub(crate) async fn effects(&self) -> Vec<Effect> {
        sqlx::query_as("SELECT event_id, aggregate_id, version, owner FROM effects ORDER BY at")
            .fetch_all(&self.pool)
            .await
            .unwrap_or_default()
    }

    pub(crate) async fn dead_letters(&self) -> Vec<(Option<Uuid>, i64, String)> {
        sqlx::query_as("SELECT event_id, deliveries, error FROM dead_letters ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    pub(crate) async fn until_effects(&self, count: usize) -> Vec<Effect> {
        self.until("the effects are there", async || self.effects().await.len() >= count)
            .await;
        self.effects().await
    }

    pub(crate) async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let reached = async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, reached).await;
        outcome.unwrap_or_else(|_| panic!("waited too long until {what}"));
    }
}

struct Recorder {
    consumer: &'static str,
}

impl Handler for Recorder {
    async fn handle(&self, connection: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        sqlx::query(
            "INSERT INTO effects (consumer, event_id, aggregate_id, version, owner)
             VALUES ($1, $2, $3, $4, current_setting('bookmesh.owner'))",
        )
        .bind(self.consumer)
        .bind(event.id)
        .bind(event.aggregate_id)
        .bind(event.version)
        .execute(connection)
        .await?;
        anyhow::ensure!(event.payload != "poison", "this cannot be swallowed");
        anyhow::ensure!(
            event.payload != "hiccup" || event.deliveries > 1,
            "not at the first try"
        );
        Ok(())
    }
}
