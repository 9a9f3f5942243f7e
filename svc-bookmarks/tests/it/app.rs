//! A svc-bookmarks of one test, and what a test says to it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bookmesh_proto::bookmarks::v1::{
    Bookmark, CreateBookmarkRequest, DeleteBookmarkRequest, GetBookmarkRequest, ListBookmarksRequest,
    ListBookmarksResponse, UpdateBookmarkRequest, UpsertBookmarksRequest, UpsertBookmarksResponse, UpsertItem,
    bookmark_internal_service_client::BookmarkInternalServiceClient, bookmark_service_client::BookmarkServiceClient,
};
use devstack::{TestDatabase, fresh_database, shared};
use prost_types::FieldMask;
use service::{client::channel, testing::TestIssuer};
use sqlx::{Connection, PgConnection};
use svc_bookmarks::Config;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Status, transport::Channel};
use tonic_types::StatusExt;
use uuid::Uuid;

pub(crate) struct TestApp {
    pub address: String,
    pub database: TestDatabase,
    issuer: Arc<TestIssuer>,
    folder: TempDir,
    nats_url: String,
    running: JoinHandle<()>,
    stop: DropGuard,
}

/// A user of a [`TestApp`].
#[derive(Clone)]
pub(crate) struct Person {
    pub id: Uuid,
    pub bookmarks: BookmarkServiceClient<Channel>,
    address: String,
    issuer: Arc<TestIssuer>,
}

impl TestApp {
    pub(crate) async fn start() -> TestApp {
        TestApp::start_with(&shared().await.nats_url()).await
    }

    /// Ready when the index is.
    pub(crate) async fn start_with(nats_url: &str) -> TestApp {
        let app = TestApp::start_unready(nats_url).await;
        app.wait_for_index().await;
        app
    }

    /// Without NATS an index that is new stays empty.
    pub(crate) async fn start_without_nats() -> TestApp {
        TestApp::start_unready("nats://127.0.0.1:1").await
    }

    async fn wait_for_index(&self) {
        let person = self.person();
        let request = ListBookmarksRequest {
            query: "anything".to_owned(),
            ..ListBookmarksRequest::default()
        };
        for _ in 0..2_000 {
            if person
                .list(request.clone())
                .await
                .is_ok_and(|response| !response.degraded)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the index does not become complete");
    }

    async fn start_unready(nats_url: &str) -> TestApp {
        let database = fresh_database("bookmarks").await;
        svc_bookmarks::migrate(&database.owner_url).await.unwrap();
        TestApp::start_on(
            database,
            TempDir::new().unwrap(),
            Arc::new(TestIssuer::new()),
            nats_url.to_owned(),
        )
        .await
    }

    /// Stops it, does something to its index folder, and starts it again.
    pub(crate) async fn restart(self, meanwhile: impl FnOnce(&Path)) -> TestApp {
        drop(self.stop);
        self.running.await.unwrap();
        meanwhile(&self.folder.path().join("index"));
        TestApp::start_on(self.database, self.folder, self.issuer, self.nats_url).await
    }

    /// Stops it, and starts it again with another NATS, or with one at all.
    pub(crate) async fn restart_with(self, nats_url: &str) -> TestApp {
        drop(self.stop);
        self.running.await.unwrap();
        let app = TestApp::start_on(self.database, self.folder, self.issuer, nats_url.to_owned()).await;
        app.wait_for_index().await;
        app
    }

    async fn start_on(database: TestDatabase, folder: TempDir, issuer: Arc<TestIssuer>, nats_url: String) -> TestApp {
        let config = Config {
            service: issuer.service_config(),
            signer: issuer.signer("svc-bookmarks"),
            auth_address: "http://127.0.0.1:1".to_owned(),
            database_url: database.app_url.clone().into(),
            database_max_connections: 10,
            nats_url: nats_url.clone(),
            index_folder: folder.path().join("index"),
        };
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let verifier = issuer.verifier("svc-bookmarks");
        let service = svc_bookmarks::run_with(config, verifier, listener, shutdown.clone());
        let running = tokio::spawn(async move { service.await.expect("the service runs") });
        TestApp {
            address,
            database,
            issuer,
            folder,
            nats_url,
            running,
            stop: shutdown.drop_guard(),
        }
    }

    /// Somebody new.
    pub(crate) fn person(&self) -> Person {
        Person {
            id: Uuid::now_v7(),
            bookmarks: BookmarkServiceClient::new(channel(&self.address).unwrap()),
            address: self.address.clone(),
            issuer: Arc::clone(&self.issuer),
        }
    }

    pub(crate) fn index_folder(&self) -> PathBuf {
        self.folder.path().join("index")
    }

    /// The same person at an app that was started again.
    pub(crate) fn again(&self, person: &Person) -> Person {
        Person {
            id: person.id,
            ..self.person()
        }
    }

    /// Past row-level security, to arrange and to look.
    pub(crate) async fn admin(&self) -> PgConnection {
        PgConnection::connect(&self.database.admin_url).await.unwrap()
    }
}

impl Person {
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let token = self.issuer.access_token(self.id);
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
        request
    }

    pub(crate) async fn create(&self, bookmark: Bookmark) -> Result<Bookmark, Status> {
        self.create_named("", bookmark).await
    }

    pub(crate) async fn create_named(&self, request_id: &str, bookmark: Bookmark) -> Result<Bookmark, Status> {
        let request = self.request(CreateBookmarkRequest {
            bookmark: Some(bookmark),
            request_id: request_id.to_owned(),
        });
        Ok(self.bookmarks.clone().create_bookmark(request).await?.into_inner())
    }

    pub(crate) async fn save(&self, url: &str, title: &str, tags: &[&str]) -> Bookmark {
        let tags = tags.iter().map(ToString::to_string).collect();
        let bookmark = Bookmark {
            url: url.to_owned(),
            title: title.to_owned(),
            tags,
            ..Bookmark::default()
        };
        self.create(bookmark).await.unwrap()
    }

    pub(crate) async fn get(&self, id: &str) -> Result<Bookmark, Status> {
        let request = self.request(GetBookmarkRequest { id: id.to_owned() });
        Ok(self.bookmarks.clone().get_bookmark(request).await?.into_inner())
    }

    pub(crate) async fn update(&self, bookmark: Bookmark, paths: &[&str]) -> Result<Bookmark, Status> {
        let update_mask = Some(FieldMask {
            paths: paths.iter().map(ToString::to_string).collect(),
        });
        let request = self.request(UpdateBookmarkRequest {
            bookmark: Some(bookmark),
            update_mask,
        });
        Ok(self.bookmarks.clone().update_bookmark(request).await?.into_inner())
    }

    pub(crate) async fn delete(&self, id: &str, etag: &str) -> Result<(), Status> {
        let request = self.request(DeleteBookmarkRequest {
            id: id.to_owned(),
            etag: etag.to_owned(),
        });
        self.bookmarks.clone().delete_bookmark(request).await?;
        Ok(())
    }

    pub(crate) async fn list(&self, request: ListBookmarksRequest) -> Result<ListBookmarksResponse, Status> {
        Ok(self
            .bookmarks
            .clone()
            .list_bookmarks(self.request(request))
            .await?
            .into_inner())
    }

    /// The titles that a query finds, once the change `min_version` is findable.
    pub(crate) async fn find(&self, query: &str, min_version: i64) -> Vec<String> {
        let request = ListBookmarksRequest {
            query: query.to_owned(),
            min_version,
            ..ListBookmarksRequest::default()
        };
        titles(&self.list(request).await.unwrap())
    }

    /// Asks until the query finds so many, for at most 20 seconds.
    pub(crate) async fn find_in_the_end(&self, query: &str, count: usize) {
        let mut found = (Vec::new(), false);
        for _ in 0..200 {
            let request = ListBookmarksRequest {
                query: query.to_owned(),
                ..ListBookmarksRequest::default()
            };
            found = self
                .list(request)
                .await
                .map(|response| (titles(&response), response.degraded))
                .unwrap_or_default();
            if found.0.len() == count && !found.1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{query} finds {found:?}");
    }

    pub(crate) async fn upsert(
        &self,
        batch_id: &str,
        items: Vec<UpsertItem>,
    ) -> Result<UpsertBookmarksResponse, Status> {
        let mut request = Request::new(UpsertBookmarksRequest {
            batch_id: batch_id.to_owned(),
            items,
        });
        let token = self.issuer.service_token("svc-import", self.id, "svc-bookmarks");
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
        let mut client = BookmarkInternalServiceClient::new(channel(&self.address).unwrap());
        Ok(client.upsert_bookmarks(request).await?.into_inner())
    }
}

pub(crate) fn bookmark(url: &str) -> Bookmark {
    Bookmark {
        url: url.to_owned(),
        ..Bookmark::default()
    }
}

pub(crate) fn titles(response: &ListBookmarksResponse) -> Vec<String> {
    response
        .bookmarks
        .iter()
        .map(|bookmark| bookmark.title.clone())
        .collect()
}

/// The fields that a status complains of.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    let violations = status
        .get_details_bad_request()
        .map_or_else(Vec::new, |details| details.field_violations);
    violations.into_iter().map(|violation| violation.field).collect()
}

pub(crate) fn reason(status: &Status) -> String {
    service::status::reason(status).unwrap_or_default()
}
