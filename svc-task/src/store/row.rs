//! A task as its row has it.

use sqlx::Error;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{Failure, Progress, State, Task};

pub(super) struct TaskRow {
    pub(super) id: Uuid,
    pub(super) owner_id: Uuid,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) state: String,
    pub(super) done: i32,
    pub(super) total: i32,
    pub(super) attempt: i32,
    pub(super) max_attempts: i32,
    pub(super) failures: i32,
    pub(super) losses: i32,
    pub(super) error_reason: Option<String>,
    pub(super) error_description: Option<String>,
    pub(super) next_attempt_at: Option<OffsetDateTime>,
    pub(super) lease_token: Option<i64>,
    #[expect(dead_code, reason = "statements alone compare it: `query_as!` reads whole rows")]
    pub(super) due_at: Option<OffsetDateTime>,
    pub(super) created_at: OffsetDateTime,
    pub(super) updated_at: OffsetDateTime,
    pub(super) version: i64,
}

impl TryFrom<TaskRow> for Task {
    type Error = Error;

    fn try_from(row: TaskRow) -> Result<Task, Error> {
        let unknown = || Error::Decode(format!("{} is no state of a task", row.state).into());
        Ok(Task {
            state: State::from_name(&row.state).ok_or_else(unknown)?,
            id: row.id,
            owner_id: row.owner_id,
            kind: row.kind,
            subject: row.subject,
            progress: Progress {
                done: row.done,
                total: row.total,
            },
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            failures: row.failures,
            losses: row.losses,
            error: row.error_reason.map(|reason| Failure {
                reason,
                description: row.error_description.unwrap_or_default(),
            }),
            next_attempt_at: row.next_attempt_at,
            lease_token: row.lease_token,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        })
    }
}
