//! The caller's own tasks.

use bookmesh_proto::task::v1::{
    CancelTaskRequest, GetTaskRequest, ListTasksRequest, ListTasksResponse, Task, WatchTaskRequest,
    task_service_server::TaskService,
};
use outbox::Waker;
use serde::{Deserialize, Serialize};
use service::{caller, id, page, postgres, status::Violation};
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::message::task_message;
use crate::{
    domain,
    error::Error,
    events,
    store::{self, Cursor},
    watch::Watcher,
};

const DEFAULT_PAGE_SIZE: i64 = 20;
const LARGEST_PAGE_SIZE: i64 = 200;

pub(crate) struct Public {
    pool: PgPool,
    watcher: Watcher,
    waker: Waker,
}

/// A page token's content.
#[derive(Serialize, Deserialize)]
struct After {
    created_nanoseconds: i128,
    id: Uuid,
}

impl Public {
    pub(crate) fn new(pool: PgPool, watcher: Watcher, waker: Waker) -> Public {
        Public { pool, watcher, waker }
    }

    async fn get(&self, owner: Uuid, id: Uuid) -> Result<domain::Task, Error> {
        let mut transaction = postgres::begin(&self.pool, owner).await?;
        store::get(&mut transaction, owner, id).await?.ok_or(Error::NotFound)
    }

    async fn list(&self, owner: Uuid, after: Option<Cursor>, size: i64) -> Result<ListTasksResponse, Error> {
        let mut transaction = postgres::begin(&self.pool, owner).await?;
        // One more than asked for tells whether there is another page.
        let mut tasks = store::list(&mut transaction, owner, after, size + 1).await?;
        let is_last = i64::try_from(tasks.len()).is_ok_and(|count| count <= size);
        if !is_last {
            tasks.pop();
        }
        let next = tasks.last().filter(|_| !is_last).map(|last| page_token(owner, last));
        Ok(ListTasksResponse {
            tasks: tasks.iter().map(task_message).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }

    /// A task that has ended, or was asked to end before, stays as it is.
    async fn cancel(&self, owner: Uuid, id: Uuid) -> Result<domain::Task, Error> {
        let mut transaction = postgres::begin(&self.pool, owner).await?;
        let Some(task) = store::cancel(&mut transaction, owner, id).await? else {
            return store::get(&mut transaction, owner, id).await?.ok_or(Error::NotFound);
        };
        events::put_status_changed(&mut transaction, &task).await?;
        transaction.commit().await?;
        self.waker.wake();
        Ok(task)
    }
}

#[tonic::async_trait]
impl TaskService for Public {
    async fn get_task(&self, request: Request<GetTaskRequest>) -> Result<Response<Task>, Status> {
        let owner = caller::owner(&request)?;
        let id = id::parse_name("task", &request.get_ref().id)?;

        let task = self.get(owner, id).await?;

        Ok(Response::new(task_message(&task)))
    }

    async fn list_tasks(&self, request: Request<ListTasksRequest>) -> Result<Response<ListTasksResponse>, Status> {
        let owner = caller::owner(&request)?;
        let request = request.into_inner();
        let size = page::page_size(request.page_size, DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE)?;
        let after = cursor(owner, &request.page_token)?;

        let page = self.list(owner, after, size).await?;

        Ok(Response::new(page))
    }

    type WatchTaskStream = ReceiverStream<Result<Task, Status>>;

    async fn watch_task(&self, request: Request<WatchTaskRequest>) -> Result<Response<Self::WatchTaskStream>, Status> {
        let owner = caller::owner(&request)?;
        let id = id::parse_name("task", &request.get_ref().id)?;

        let changes = self.watcher.watch(owner, id).await?;

        Ok(Response::new(changes))
    }

    async fn cancel_task(&self, request: Request<CancelTaskRequest>) -> Result<Response<Task>, Status> {
        let owner = caller::owner(&request)?;
        let id = id::parse_name("task", &request.get_ref().id)?;

        let task = self.cancel(owner, id).await?;

        Ok(Response::new(task_message(&task)))
    }
}

fn page_token(owner: Uuid, last: &domain::Task) -> String {
    let after = After {
        created_nanoseconds: last.created_at.unix_timestamp_nanos(),
        id: last.id,
    };
    page::encode(&["tasks", &owner.to_string()], &after)
}

fn cursor(owner: Uuid, token: &str) -> Result<Option<Cursor>, Violation> {
    let after: Option<After> = page::decode(token, &["tasks", &owner.to_string()])?;
    let Some(after) = after else { return Ok(None) };
    let created_at = OffsetDateTime::from_unix_timestamp_nanos(after.created_nanoseconds)
        .map_err(|_| Violation::new("page_token", "must be a token of ListTasks"))?;
    Ok(Some(Cursor {
        created_at,
        id: after.id,
    }))
}
