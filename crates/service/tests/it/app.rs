//! A running server on free ports, with handlers that do what a test asks for.

use std::{net::SocketAddr, time::Duration};

use bookmesh_proto::{
    auth::v1::auth_service_client::AuthServiceClient,
    bookmarks::v1::{
        UpsertBookmarksRequest, UpsertBookmarksResponse,
        bookmark_internal_service_client::BookmarkInternalServiceClient,
        bookmark_internal_service_server::{BookmarkInternalService, BookmarkInternalServiceServer},
    },
    enrich::v1::{
        Enrichment, GetEnrichmentRequest,
        enrichment_service_client::EnrichmentServiceClient,
        enrichment_service_server::{EnrichmentService, EnrichmentServiceServer},
    },
    task::v1::{
        CancelTaskRequest, GetTaskRequest, ListTasksRequest, ListTasksResponse, Task, WatchTaskRequest,
        task_service_client::TaskServiceClient,
        task_service_server::{TaskService, TaskServiceServer},
    },
};
use service::{Routes, Service, caller, testing::TestIssuer};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, metadata::MetadataValue, transport::Channel};
use uuid::Uuid;

use crate::refresh::FakeAuth;

/// The folder name that the server goes by: the `aud` of service tokens for it.
pub(crate) const NAME: &str = "svc-bookmarks";

pub(crate) struct App {
    pub(crate) issuer: TestIssuer,
    pub(crate) channel: Channel,
    pub(crate) address: SocketAddr,
    pub(crate) admin_address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) stopped: JoinHandle<anyhow::Result<()>>,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// `prepare` may add tasks and checks before the server runs.
    pub(crate) async fn start_with(prepare: impl FnOnce(&Service)) -> Self {
        Self::start_settling(Duration::ZERO, prepare).await
    }

    /// `settle`: how long it still takes connections after it was told to stop.
    pub(crate) async fn start_settling(settle: Duration, prepare: impl FnOnce(&Service)) -> Self {
        let issuer = TestIssuer::new();
        let shutdown = CancellationToken::new();
        let mut config = issuer.service_config();
        config.settle = settle;
        let service = Service::start(NAME, &config, shutdown.clone()).await.unwrap();
        prepare(&service);
        let admin_address = service.admin_address();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Routes::new(EnrichmentServiceServer::new(Handlers))
            .add_service(BookmarkInternalServiceServer::new(Handlers))
            .add_service(TaskServiceServer::new(Handlers))
            .add_service(FakeAuth::default().public());
        let stopped = tokio::spawn(service.serve(listener, issuer.verifier(NAME), routes));
        let channel = service::client::channel(&format!("http://{address}")).unwrap();
        Self {
            issuer,
            channel,
            address,
            admin_address,
            shutdown,
            stopped,
        }
    }

    pub(crate) fn public(&self) -> AuthServiceClient<Channel> {
        AuthServiceClient::new(self.channel.clone())
    }

    pub(crate) fn user(&self) -> EnrichmentServiceClient<Channel> {
        EnrichmentServiceClient::new(self.channel.clone())
    }

    pub(crate) fn internal(&self) -> BookmarkInternalServiceClient<Channel> {
        BookmarkInternalServiceClient::new(self.channel.clone())
    }

    pub(crate) fn tasks(&self) -> TaskServiceClient<Channel> {
        TaskServiceClient::new(self.channel.clone())
    }

    /// Calls the USER method with a good token; the handler does as `what` says.
    pub(crate) async fn ask(&self, what: &str) -> Result<Enrichment, Status> {
        let token = self.issuer.access_token(Uuid::now_v7());
        let answer = self.user().get_enrichment(with_token(ask(what), &token)).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn admin(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.admin_address))
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

pub(crate) fn ask(what: &str) -> GetEnrichmentRequest {
    GetEnrichmentRequest {
        bookmark_id: what.to_owned(),
    }
}

pub(crate) fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

struct Handlers;

#[tonic::async_trait]
impl EnrichmentService for Handlers {
    /// Does as the id says, and answers the owner as the id.
    async fn get_enrichment(&self, request: Request<GetEnrichmentRequest>) -> Result<Response<Enrichment>, Status> {
        let owner = caller::owner(&request)?;
        match request.get_ref().bookmark_id.as_str() {
            "panic" => panic!("as asked"),
            "slow" => sleep(Duration::from_millis(700)).await,
            "never" => std::future::pending().await,
            _ => {}
        }
        Ok(Response::new(Enrichment {
            bookmark_id: owner.to_string(),
            ..Enrichment::default()
        }))
    }
}

#[tonic::async_trait]
impl BookmarkInternalService for Handlers {
    async fn upsert_bookmarks(
        &self,
        request: Request<UpsertBookmarksRequest>,
    ) -> Result<Response<UpsertBookmarksResponse>, Status> {
        caller::owner(&request)?;
        Ok(Response::new(UpsertBookmarksResponse::default()))
    }
}

#[tonic::async_trait]
impl TaskService for Handlers {
    type WatchTaskStream = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<Task, Status>> + Send>>;

    /// `silent`: never a message. `panic`: one message, then a panic. Otherwise one message, and never an end.
    async fn watch_task(&self, request: Request<WatchTaskRequest>) -> Result<Response<Self::WatchTaskStream>, Status> {
        let what = request.into_inner().id;
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        if what != "silent" {
            sender.send(Ok(Task::default())).await.unwrap();
        }
        let held_open = futures::stream::once(async move {
            assert_ne!(what, "panic", "as asked");
            sender.closed().await;
            Err(Status::cancelled("nobody listens"))
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver).merge(held_open))))
    }

    async fn get_task(&self, _: Request<GetTaskRequest>) -> Result<Response<Task>, Status> {
        Err(Status::unimplemented("not needed by the tests"))
    }

    async fn list_tasks(&self, _: Request<ListTasksRequest>) -> Result<Response<ListTasksResponse>, Status> {
        Err(Status::unimplemented("not needed by the tests"))
    }

    async fn cancel_task(&self, _: Request<CancelTaskRequest>) -> Result<Response<Task>, Status> {
        Err(Status::unimplemented("not needed by the tests"))
    }
}
