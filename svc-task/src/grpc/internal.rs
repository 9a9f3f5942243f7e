//! What workers, and the services that need work done, ask of tasks.

use std::time::Duration;

use bookmesh_proto::task::v1::{
    ClaimTaskRequest, ClaimTaskResponse, CreateTaskRequest, FinishTaskRequest, HeartbeatTaskRequest,
    HeartbeatTaskResponse, Task, task_internal_service_server::TaskInternalService,
};
use outbox::Waker;
use service::{caller, id, postgres};
use sqlx::PgPool;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::message::{self, task_message};
use crate::{
    domain::{self, Failure, Outcome, Progress, State},
    error::Error,
    events,
    metrics::Metrics,
    store::{self, Claimed, Ending, Heartbeat, Lease, NewTask},
};

pub(crate) struct Internal {
    pool: PgPool,
    waker: Waker,
    metrics: Metrics,
}

impl Internal {
    pub(crate) fn new(pool: PgPool, waker: Waker, metrics: Metrics) -> Internal {
        Internal { pool, waker, metrics }
    }

    async fn create(&self, owner: Uuid, new: &NewTask) -> Result<domain::Task, Error> {
        let mut transaction = postgres::begin(&self.pool, owner).await?;
        let Some(task) = store::insert(&mut transaction, owner, new).await? else {
            return store::get(&mut transaction, owner, new.id).await?.ok_or(Error::IdTaken);
        };
        events::put_status_changed(&mut transaction, &task).await?;
        events::put_job(&mut transaction, &task).await?;
        transaction.commit().await?;
        self.waker.wake();
        Ok(task)
    }

    async fn claim(&self, owner: Uuid, id: Uuid, lease: Duration) -> Result<Claimed, Error> {
        let mut transaction = postgres::begin(&self.pool, owner).await?;
        let Some(claimed) = store::claim(&mut transaction, owner, id, lease).await? else {
            let task = store::get(&mut transaction, owner, id).await?.ok_or(Error::NotFound)?;
            return Err(Error::NotClaimable(task.state));
        };
        events::put_status_changed(&mut transaction, &claimed.task).await?;
        transaction.commit().await?;
        self.waker.wake();
        self.metrics.observe_claim(claimed.waited);
        Ok(claimed)
    }

    async fn heartbeat(
        &self,
        owner: Uuid,
        lease: Lease,
        lasts: Duration,
        progress: Option<Progress>,
    ) -> Result<Heartbeat, Error> {
        let mut transaction = postgres::begin(&self.pool, owner).await?;
        let heartbeat = store::heartbeat(&mut transaction, owner, lease, lasts, progress).await?;
        let Some(heartbeat) = heartbeat else {
            return Err(lost(store::get(&mut transaction, owner, lease.task_id).await?));
        };
        if heartbeat.changed {
            events::put_status_changed(&mut transaction, &heartbeat.task).await?;
        }
        transaction.commit().await?;
        if heartbeat.changed {
            self.waker.wake();
        }
        Ok(heartbeat)
    }

    async fn finish(
        &self,
        owner: Uuid,
        lease: Lease,
        outcome: &Outcome,
        progress: Option<Progress>,
    ) -> Result<domain::Task, Error> {
        let mut transaction = postgres::begin(&self.pool, owner).await?;
        let Some(leased) = store::leased(&mut transaction, owner, lease).await? else {
            let found = store::get(&mut transaction, owner, lease.task_id).await?;
            return already_finished(found, lease);
        };
        let event = outcome.event(&leased);
        let ending = Ending {
            event,
            failure: failure(outcome),
            progress,
            retry_in: domain::backoff(leased.failures + 1, &mut rand::rng()),
        };
        let finished = store::finish(&mut transaction, owner, lease, &ending).await?;
        // The row is locked and the lease holds, so only the state can be in the way.
        let task = finished.ok_or(Error::NotCancelling)?;
        events::put_status_changed(&mut transaction, &task).await?;
        transaction.commit().await?;
        self.waker.wake();
        self.metrics.count_if_ended(task.state);
        Ok(task)
    }
}

#[tonic::async_trait]
impl TaskInternalService for Internal {
    async fn create_task(&self, request: Request<CreateTaskRequest>) -> Result<Response<Task>, Status> {
        let owner = caller::owner(&request)?;
        let new = message::new_task(request.into_inner()).map_err(Error::Invalid)?;

        let task = self.create(owner, &new).await?;

        Ok(Response::new(task_message(&task)))
    }

    async fn claim_task(&self, request: Request<ClaimTaskRequest>) -> Result<Response<ClaimTaskResponse>, Status> {
        let owner = caller::owner(&request)?;
        let request = request.into_inner();
        let id = id::parse_name("task", &request.id)?;
        let lease = message::lease(request.lease)?;

        let claimed = self.claim(owner, id, lease).await?;

        Ok(Response::new(ClaimTaskResponse {
            lease_token: claimed.task.lease_token.unwrap_or_default(),
            owner_id: claimed.task.owner_id.to_string(),
            task: Some(task_message(&claimed.task)),
        }))
    }

    async fn heartbeat_task(
        &self,
        request: Request<HeartbeatTaskRequest>,
    ) -> Result<Response<HeartbeatTaskResponse>, Status> {
        let owner = caller::owner(&request)?;
        let request = request.into_inner();
        let lease = Lease {
            task_id: id::parse_name("task", &request.id)?,
            token: request.lease_token,
        };
        let lasts = message::lease(request.lease)?;
        let progress = message::progress(request.progress)?;

        let heartbeat = self.heartbeat(owner, lease, lasts, progress).await?;

        let cancel_requested = heartbeat.task.state == State::Cancelling;
        Ok(Response::new(HeartbeatTaskResponse { cancel_requested }))
    }

    async fn finish_task(&self, request: Request<FinishTaskRequest>) -> Result<Response<Task>, Status> {
        let owner = caller::owner(&request)?;
        let request = request.into_inner();
        let lease = Lease {
            task_id: id::parse_name("task", &request.id)?,
            token: request.lease_token,
        };
        let progress = message::progress(request.progress)?;
        let outcome = message::outcome(request.outcome).map_err(Error::Invalid)?;

        let task = self.finish(owner, lease, &outcome, progress).await?;

        Ok(Response::new(task_message(&task)))
    }
}

fn failure(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Failed { failure, .. } => Some(failure),
        Outcome::Succeeded | Outcome::Cancelled => None,
    }
}

/// Why a lease is good for nothing.
fn lost(found: Option<domain::Task>) -> Error {
    found.map_or(Error::NotFound, |_| Error::LeaseLost)
}

/// The same lease may finish twice: the first answer may have got lost on its way.
fn already_finished(found: Option<domain::Task>, lease: Lease) -> Result<domain::Task, Error> {
    match found {
        Some(task) if task.lease_token == Some(lease.token) && !task.state.is_leased() => Ok(task),
        found => Err(lost(found)),
    }
}
