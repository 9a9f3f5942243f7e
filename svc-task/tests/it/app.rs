//! Replicas of svc-task on one database, and what users and workers call them with.

use std::time::Duration;

use bookmesh_proto::task::v1::{
    CancelTaskRequest, ClaimTaskRequest, ClaimTaskResponse, CreateTaskRequest, FinishTaskRequest, GetTaskRequest,
    HeartbeatTaskRequest, HeartbeatTaskResponse, Task, WatchTaskRequest,
    finish_task_request::{Cancelled, Failed, Outcome, Succeeded},
    task::{Progress, State},
    task_internal_service_client::TaskInternalServiceClient,
    task_service_client::TaskServiceClient,
};
use devstack::{Devstack, TestDatabase};
use service::testing::TestIssuer;
use sqlx::{Connection, PgConnection};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status, Streaming, transport::Channel};
use tonic_types::StatusExt;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct App {
    pub(crate) issuer: TestIssuer,
    app_url: String,
    admin_url: String,
    pub(crate) nats_url: String,
    replica: Replica,
}

/// A running svc-task; stops when dropped.
pub(crate) struct Replica {
    pub(crate) channel: Channel,
    shutdown: CancellationToken,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl App {
    pub(crate) async fn new() -> App {
        let database = devstack::fresh_database("tasks").await;
        App::on(database, devstack::shared().await.nats_url()).await
    }

    /// On servers that the test may harm.
    pub(crate) async fn alone(stack: &Devstack) -> App {
        let admin_url = stack.postgres_url("postgres");
        devstack::create_schema(&admin_url, "tasks").await.unwrap();
        let database = TestDatabase {
            name: String::new(),
            owner_url: stack.postgres_url("tasks_owner"),
            app_url: stack.postgres_url("tasks_app"),
            admin_url,
        };
        App::on(database, stack.nats_url()).await
    }

    async fn on(database: TestDatabase, nats_url: String) -> App {
        svc_task::migrate(&database.owner_url).await.unwrap();
        let issuer = TestIssuer::new();
        let replica = start(&issuer, &database.app_url, &nats_url).await;
        App {
            issuer,
            app_url: database.app_url,
            admin_url: database.admin_url,
            nats_url,
            replica,
        }
    }

    pub(crate) async fn start_replica(&self) -> Replica {
        start(&self.issuer, &self.app_url, &self.nats_url).await
    }

    pub(crate) fn channel(&self) -> Channel {
        self.replica.channel.clone()
    }

    pub(crate) fn stop(&self) {
        self.replica.shutdown.cancel();
    }

    pub(crate) fn users(&self) -> TaskServiceClient<Channel> {
        TaskServiceClient::new(self.channel())
    }

    pub(crate) fn services(&self) -> TaskInternalServiceClient<Channel> {
        TaskInternalServiceClient::new(self.channel())
    }

    /// A call by a user.
    pub(crate) fn by<T>(&self, user: Uuid, message: T) -> Request<T> {
        with_token(message, &self.issuer.access_token(user))
    }

    /// A call by svc-import, for a user.
    pub(crate) fn for_owner<T>(&self, owner: Uuid, message: T) -> Request<T> {
        with_token(message, &self.issuer.service_token("svc-import", owner, "svc-task"))
    }

    pub(crate) async fn create(&self, owner: Uuid) -> String {
        let request = new_task(Uuid::now_v7());
        let id = request.id.clone();
        self.services()
            .create_task(self.for_owner(owner, request))
            .await
            .unwrap();
        id
    }

    pub(crate) async fn get(&self, owner: Uuid, id: &str) -> Task {
        let request = self.by(owner, GetTaskRequest { id: id.to_owned() });
        self.users().get_task(request).await.unwrap().into_inner()
    }

    pub(crate) async fn claim(&self, owner: Uuid, id: &str, seconds: f32) -> Result<ClaimTaskResponse, Status> {
        let request = ClaimTaskRequest {
            id: id.to_owned(),
            lease: Some(lease(seconds)),
        };
        Ok(self
            .services()
            .claim_task(self.for_owner(owner, request))
            .await?
            .into_inner())
    }

    pub(crate) async fn heartbeat(
        &self,
        owner: Uuid,
        id: &str,
        lease_token: i64,
        done: i32,
    ) -> Result<HeartbeatTaskResponse, Status> {
        let progress = Some(Progress { done, total: 1000 });
        let request = HeartbeatTaskRequest {
            id: id.to_owned(),
            lease_token,
            lease: None,
            progress,
        };
        Ok(self
            .services()
            .heartbeat_task(self.for_owner(owner, request))
            .await?
            .into_inner())
    }

    pub(crate) async fn finish(
        &self,
        owner: Uuid,
        id: &str,
        lease_token: i64,
        outcome: Outcome,
    ) -> Result<Task, Status> {
        let request = FinishTaskRequest {
            id: id.to_owned(),
            lease_token,
            progress: None,
            outcome: Some(outcome),
        };
        Ok(self
            .services()
            .finish_task(self.for_owner(owner, request))
            .await?
            .into_inner())
    }

    pub(crate) async fn cancel(&self, owner: Uuid, id: &str) -> Task {
        let request = self.by(owner, CancelTaskRequest { id: id.to_owned() });
        self.users().cancel_task(request).await.unwrap().into_inner()
    }

    pub(crate) async fn watch(&self, channel: Channel, owner: Uuid, id: &str) -> Streaming<Task> {
        let request = self.by(owner, WatchTaskRequest { id: id.to_owned() });
        TaskServiceClient::new(channel)
            .watch_task(request)
            .await
            .unwrap()
            .into_inner()
    }

    pub(crate) async fn until_state(&self, owner: Uuid, id: &str, state: State) -> Task {
        let reached = async {
            loop {
                let task = self.get(owner, id).await;
                if task.state() == state {
                    return task;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, reached).await;
        outcome.unwrap_or_else(|_| panic!("the task does not become {state:?}"))
    }

    /// As the superuser, who sees and may do everything.
    pub(crate) async fn database(&self) -> PgConnection {
        let mut connection = PgConnection::connect(&self.admin_url).await.unwrap();
        sqlx::query("SET search_path = tasks")
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }

    /// As the role that the service runs under.
    pub(crate) async fn database_as_service(&self) -> PgConnection {
        PgConnection::connect(&self.app_url).await.unwrap()
    }

    /// Makes the clock of a task jump: what it waits for was due a second ago.
    pub(crate) async fn make_due(&self, id: &str) {
        let statement = "UPDATE tasks SET due_at = now() - interval '1 second',
                             next_attempt_at = CASE WHEN next_attempt_at IS NULL THEN NULL ELSE now() - interval '1 second' END
                         WHERE id = $1::uuid AND due_at IS NOT NULL";
        sqlx::query(statement)
            .bind(id)
            .execute(&mut self.database().await)
            .await
            .unwrap();
    }
}

async fn start(issuer: &TestIssuer, app_url: &str, nats_url: &str) -> Replica {
    let config = svc_task::Config {
        service: issuer.service_config(),
        signer: issuer.signer("svc-task"),
        auth_address: "http://127.0.0.1:1".to_owned(),
        database_url: app_url.into(),
        database_max_connections: 5,
        nats_url: nats_url.to_owned(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    tokio::spawn(svc_task::run_with(
        config,
        issuer.verifier("svc-task"),
        listener,
        shutdown.clone(),
    ));
    Replica {
        channel: service::client::channel(&address).unwrap(),
        shutdown,
    }
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let authorization = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", authorization);
    request
}

pub(crate) fn new_task(id: Uuid) -> CreateTaskRequest {
    CreateTaskRequest {
        id: id.to_string(),
        kind: "import".to_owned(),
        subject: format!("/v1/imports/{id}"),
        max_attempts: 3,
    }
}

fn lease(seconds: f32) -> prost_types::Duration {
    Duration::from_secs_f32(seconds).try_into().unwrap()
}

pub(crate) fn succeeded() -> Outcome {
    Outcome::Succeeded(Succeeded {})
}

pub(crate) fn cancelled() -> Outcome {
    Outcome::Cancelled(Cancelled {})
}

pub(crate) fn failed(retryable: bool) -> Outcome {
    Outcome::Failed(Failed {
        reason: "BROKEN".to_owned(),
        description: "it broke".to_owned(),
        retryable,
    })
}

/// What programs tell an error by.
pub(crate) fn reason(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info();
    (status.code(), info.map(|info| info.reason).unwrap_or_default())
}

/// The fields that a refused request broke.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    let request = status.get_details_bad_request().unwrap();
    request
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}
