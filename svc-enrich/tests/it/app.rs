//! A svc-enrich of one test, and what svc-bookmarks would tell it.

use std::{
    sync::{OnceLock, mpsc::sync_channel},
    thread,
    time::{Duration, Instant},
};

use async_nats::{HeaderMap, jetstream};
use bookmesh_proto::{
    bookmarks::v1::{Bookmark, BookmarkCreated, BookmarkDeleted, DeletedBookmark},
    enrich::v1::{Enrichment, GetEnrichmentRequest, enrichment_service_client::EnrichmentServiceClient},
};
use devstack::{TestDatabase, fresh_database, shared};
use prost::Message;
use service::{client::channel, testing::TestIssuer};
use sqlx::{Connection, PgConnection, Row};
use svc_enrich::{Config, NAME};
use tokio::{net::TcpListener, runtime::Builder, task::spawn_blocking};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, transport::Channel};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(20);

static RUNNING: OnceLock<Running> = OnceLock::new();

/// The svc-enrich of all tests of this process: its durable consumer is one for all that share a NATS. Tests have owners of
/// their own.
struct Running {
    address: String,
    database: TestDatabase,
    issuer: TestIssuer,
}

pub(crate) struct TestApp {
    pub client: EnrichmentServiceClient<Channel>,
    running: &'static Running,
    events: jetstream::Context,
}

/// An event as svc-bookmarks would publish it.
#[derive(Clone)]
pub(crate) struct TestEvent {
    pub id: Uuid,
    pub subject: String,
    pub event_type: &'static str,
    pub owner: Uuid,
    pub version: i64,
    pub payload: Vec<u8>,
}

impl TestApp {
    pub(crate) async fn start() -> TestApp {
        let running = spawn_blocking(|| RUNNING.get_or_init(run_in_background)).await.unwrap();
        let nats = async_nats::connect(shared().await.nats_url()).await.unwrap();
        let app = TestApp {
            client: EnrichmentServiceClient::new(channel(&running.address).unwrap()),
            running,
            events: jetstream::new(nats),
        };
        app.wait_for_stream().await;
        app
    }

    pub(crate) async fn get(&self, user: Uuid, bookmark_id: &str) -> Result<Enrichment, Status> {
        let mut request = Request::new(GetEnrichmentRequest {
            bookmark_id: bookmark_id.to_owned(),
        });
        let authorization = format!("Bearer {}", self.running.issuer.access_token(user))
            .parse()
            .unwrap();
        request.metadata_mut().insert("authorization", authorization);
        Ok(self.client.clone().get_enrichment(request).await?.into_inner())
    }

    /// Publishes, and waits until JetStream has it.
    pub(crate) async fn publish(&self, event: &TestEvent) {
        let mut headers = HeaderMap::new();
        headers.insert("ce-id", event.id.to_string());
        headers.insert("ce-type", event.event_type);
        headers.insert("ce-time", "2026-11-23T12:00:00Z");
        headers.insert("ce-subject", event.owner.to_string());
        headers.insert("ce-ownerid", event.owner.to_string());
        headers.insert("ce-version", event.version.to_string());
        let published = self
            .events
            .publish_with_headers(event.subject.clone(), headers, event.payload.clone().into());
        published.await.unwrap().await.unwrap();
    }

    /// Publishes, and waits until it has been handled.
    pub(crate) async fn tell(&self, event: &TestEvent) {
        self.publish(event).await;
        self.wait_until_handled(event).await;
    }

    pub(crate) async fn wait_until_handled(&self, event: &TestEvent) {
        let started = Instant::now();
        while self
            .count("SELECT count(*) FROM inbox WHERE event_id = $1", event.id)
            .await
            == 0
        {
            assert!(started.elapsed() < PATIENCE, "an event is not handled");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn wait_until_dead(&self, event: &TestEvent) {
        let started = Instant::now();
        while self
            .count("SELECT count(*) FROM dead_letters WHERE event_id = $1", event.id)
            .await
            == 0
        {
            assert!(started.elapsed() < PATIENCE, "an event is not given up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The payloads of what svc-enrich has said about an owner.
    pub(crate) async fn said(&self, owner: Uuid) -> Vec<Vec<u8>> {
        let query = "SELECT payload FROM outbox WHERE owner_id = $1 ORDER BY seq";
        let rows = sqlx::query(query)
            .bind(owner)
            .fetch_all(&mut self.admin().await)
            .await
            .unwrap();
        rows.iter().map(|row| row.get("payload")).collect()
    }

    pub(crate) async fn app_role(&self) -> PgConnection {
        PgConnection::connect(&self.running.database.app_url).await.unwrap()
    }

    async fn count(&self, query: &'static str, id: Uuid) -> i64 {
        let row = sqlx::query(query)
            .bind(id)
            .fetch_one(&mut self.admin().await)
            .await
            .unwrap();
        row.get(0)
    }

    async fn admin(&self) -> PgConnection {
        let mut connection = PgConnection::connect(&self.running.database.admin_url).await.unwrap();
        sqlx::raw_sql("SET search_path = enrich")
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }

    async fn wait_for_stream(&self) {
        let started = Instant::now();
        while self.events.get_stream("EVENTS").await.is_err() {
            assert!(started.elapsed() < PATIENCE, "nobody makes the stream");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl TestEvent {
    pub(crate) fn created<'a>(owner: Uuid, bookmarks: impl IntoIterator<Item = &'a Bookmark>) -> TestEvent {
        let message = BookmarkCreated {
            owner_id: owner.to_string(),
            bookmarks: bookmarks.into_iter().cloned().collect(),
        };
        TestEvent {
            id: Uuid::now_v7(),
            subject: outbox::subject("bookmarks", "bookmark_created", owner),
            event_type: "bookmesh.bookmarks.v1.BookmarkCreated",
            owner,
            version: message.bookmarks.last().map_or(1, |bookmark| bookmark.version),
            payload: message.encode_to_vec(),
        }
    }

    pub(crate) fn deleted(owner: Uuid, bookmark_id: &str, version: i64) -> TestEvent {
        let deleted = DeletedBookmark {
            id: bookmark_id.to_owned(),
            version,
        };
        let message = BookmarkDeleted {
            owner_id: owner.to_string(),
            bookmarks: vec![deleted],
        };
        TestEvent {
            id: Uuid::now_v7(),
            subject: outbox::subject("bookmarks", "bookmark_deleted", owner),
            event_type: "bookmesh.bookmarks.v1.BookmarkDeleted",
            owner,
            version,
            payload: message.encode_to_vec(),
        }
    }
}

/// Each test has a runtime that ends with it, so this one has a thread.
fn run_in_background() -> Running {
    let (tell, told) = sync_channel(1);
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (running, serving) = start().await;
            tell.send(running).unwrap();
            serving.await.unwrap();
        });
    });
    told.recv().unwrap()
}

async fn start() -> (Running, impl Future<Output = anyhow::Result<()>>) {
    let issuer = TestIssuer::new();
    let database = fresh_database("enrich").await;
    svc_enrich::migrate(&database.owner_url).await.unwrap();
    let config = Config {
        service: issuer.service_config(),
        database_url: database.app_url.clone().into(),
        database_max_connections: 5,
        nats_url: shared().await.nats_url(),
        auth_address: "http://127.0.0.1:1".to_owned(),
        signer: issuer.signer(NAME),
        retry_delays: vec![Duration::from_millis(50); 7],
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let serving = svc_enrich::run_with(config, issuer.verifier(NAME), listener, CancellationToken::new());
    let running = Running {
        address,
        database,
        issuer,
    };
    (running, serving)
}

/// A bookmark about bees.
pub(crate) fn bees(version: i64) -> Bookmark {
    Bookmark {
        id: Uuid::now_v7().to_string(),
        url: "https://bees.example/city-garden".to_owned(),
        title: "Keeping bees in a city garden".to_owned(),
        description: "How to keep bees in a garden in the middle of the city.".to_owned(),
        tags: vec!["Garden".to_owned()],
        version,
        ..Bookmark::default()
    }
}
