//! What svc-import asks of svc-task.

use std::time::Duration;

use bookmesh_proto::task::v1::{
    ClaimTaskRequest, ClaimTaskResponse, CreateTaskRequest, FinishTaskRequest, HeartbeatTaskRequest,
    finish_task_request::{Cancelled, Failed, Outcome, Succeeded},
    task::Progress,
    task_internal_service_client::TaskInternalServiceClient,
};
use service::client::InternalClient;
use tonic::{Status, transport::Channel};

use crate::store::tasks::ImportTask;

/// The kind of our tasks, and with it the name of their queue.
pub(crate) const KIND: &str = "import";

/// Short enough that another worker goes on soon after a crash, long enough for a slow batch between two heartbeats.
const LEASE: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(5);

/// More than usual: an attempt goes on where the last one was, and a crash counts as one.
const MAX_ATTEMPTS: i32 = 10;

#[derive(Clone)]
pub(crate) struct Tasks {
    client: InternalClient,
}

/// Proof that a task is ours for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub(crate) task: ImportTask,
    pub(crate) token: i64,
}

/// How an attempt ended, as svc-task is to know it.
#[derive(Clone, Debug)]
pub(crate) enum AttemptEnd {
    Succeeded,
    Cancelled,
    Failed {
        reason: String,
        description: String,
        retryable: bool,
    },
}

impl Tasks {
    pub(crate) fn new(client: InternalClient) -> Self {
        Self { client }
    }

    /// Makes the task unless it is there.
    pub(crate) async fn create(&self, task: ImportTask) -> Result<(), Status> {
        let message = CreateTaskRequest {
            id: task.task_id.to_string(),
            kind: KIND.to_owned(),
            subject: format!("/v1/imports/{}", task.import_id),
            max_attempts: MAX_ATTEMPTS,
        };
        self.stub()
            .create_task(self.client.request(task.owner_id, message, TIMEOUT))
            .await?;
        Ok(())
    }

    pub(crate) async fn claim(&self, task: ImportTask) -> Result<Lease, Status> {
        let message = ClaimTaskRequest {
            id: task.task_id.to_string(),
            lease: Some(lease()),
        };
        let request = self.client.request(task.owner_id, message, TIMEOUT);
        let ClaimTaskResponse { lease_token, .. } = self.stub().claim_task(request).await?.into_inner();
        Ok(Lease {
            task,
            token: lease_token,
        })
    }

    /// Keeps the lease and says how far the work is; answers whether it is to stop.
    pub(crate) async fn heartbeat(&self, lease_held: Lease, progress: Progress) -> Result<bool, Status> {
        let message = HeartbeatTaskRequest {
            id: lease_held.task.task_id.to_string(),
            lease_token: lease_held.token,
            lease: Some(lease()),
            progress: Some(progress),
        };
        let request = self.client.request(lease_held.task.owner_id, message, TIMEOUT);
        Ok(self.stub().heartbeat_task(request).await?.into_inner().cancel_requested)
    }

    pub(crate) async fn finish(&self, lease: Lease, end: AttemptEnd, progress: Progress) -> Result<(), Status> {
        let message = FinishTaskRequest {
            id: lease.task.task_id.to_string(),
            lease_token: lease.token,
            progress: Some(progress),
            outcome: Some(outcome(end)),
        };
        self.stub()
            .finish_task(self.client.request(lease.task.owner_id, message, TIMEOUT))
            .await?;
        Ok(())
    }

    fn stub(&self) -> TaskInternalServiceClient<Channel> {
        TaskInternalServiceClient::new(self.client.channel())
    }
}

fn lease() -> prost_types::Duration {
    prost_types::Duration::try_from(LEASE).expect("a lease of seconds fits")
}

fn outcome(end: AttemptEnd) -> Outcome {
    match end {
        AttemptEnd::Succeeded => Outcome::Succeeded(Succeeded {}),
        AttemptEnd::Cancelled => Outcome::Cancelled(Cancelled {}),
        AttemptEnd::Failed {
            reason,
            description,
            retryable,
        } => Outcome::Failed(Failed {
            reason,
            description,
            retryable,
        }),
    }
}
