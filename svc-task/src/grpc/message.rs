//! Tasks and what is said about them, as messages and back.

use std::time::Duration;

use bookmesh_proto::task::v1::{
    self as proto, CreateTaskRequest,
    finish_task_request::{self, Failed},
};
use service::{check, id, status::Violation, time::to_proto};

use crate::{
    domain::{Failure, Outcome, Progress, State, Task},
    store::NewTask,
};

const DEFAULT_MAX_ATTEMPTS: i32 = 5;
const MOST_ATTEMPTS: i32 = 100;
const MAX_KIND_BYTES: usize = 32;
const MAX_SUBJECT_BYTES: usize = 512;
const MAX_REASON_BYTES: usize = 64;
const MAX_DESCRIPTION_BYTES: usize = 4096;
const DEFAULT_LEASE: Duration = Duration::from_secs(15);
const LONGEST_LEASE: Duration = Duration::from_secs(5 * 60);

pub(crate) fn task_message(task: &Task) -> proto::Task {
    proto::Task {
        id: task.id.to_string(),
        kind: task.kind.clone(),
        subject: task.subject.clone(),
        state: state_message(task.state).into(),
        progress: Some(proto::task::Progress {
            done: task.progress.done,
            total: task.progress.total,
        }),
        attempt: task.attempt,
        max_attempts: task.max_attempts,
        error: task.error.as_ref().map(|error| proto::task::Error {
            reason: error.reason.clone(),
            description: error.description.clone(),
        }),
        next_attempt_time: task
            .next_attempt_at
            .filter(|_| task.state == State::Retrying)
            .map(to_proto),
        create_time: Some(to_proto(task.created_at)),
        update_time: Some(to_proto(task.updated_at)),
        version: task.version,
    }
}

fn state_message(state: State) -> proto::task::State {
    match state {
        State::Queued => proto::task::State::Queued,
        State::Running => proto::task::State::Running,
        State::Retrying => proto::task::State::Retrying,
        State::WaitingInput => proto::task::State::WaitingInput,
        State::Cancelling => proto::task::State::Cancelling,
        State::Succeeded => proto::task::State::Succeeded,
        State::Failed => proto::task::State::Failed,
        State::Cancelled => proto::task::State::Cancelled,
    }
}

pub(super) fn new_task(request: CreateTaskRequest) -> Result<NewTask, Vec<Violation>> {
    let mut violations = Vec::new();
    let id = id::parse("id", &request.id).map_err(|violation| violations.push(violation));
    violations.extend(kind_violation(&request.kind));
    violations.extend(check::text("subject", &request.subject, MAX_SUBJECT_BYTES));
    if !(0..=MOST_ATTEMPTS).contains(&request.max_attempts) {
        violations.push(Violation::new(
            "max_attempts",
            format!("must be from 0 to {MOST_ATTEMPTS}"),
        ));
    }
    match id {
        Ok(id) if violations.is_empty() => Ok(NewTask {
            id,
            kind: request.kind,
            subject: request.subject,
            max_attempts: if request.max_attempts == 0 {
                DEFAULT_MAX_ATTEMPTS
            } else {
                request.max_attempts
            },
        }),
        Ok(_) | Err(()) => Err(violations),
    }
}

/// A kind is a part of a NATS subject and of a consumer's name.
fn kind_violation(kind: &str) -> Option<Violation> {
    let plain = kind
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let fits = plain && (1..=MAX_KIND_BYTES).contains(&kind.len());
    (!fits).then(|| {
        Violation::new(
            "kind",
            format!("must be 1 to {MAX_KIND_BYTES} lower-case letters, digits and underscores"),
        )
    })
}

pub(super) fn lease(requested: Option<prost_types::Duration>) -> Result<Duration, Violation> {
    let Some(requested) = requested else {
        return Ok(DEFAULT_LEASE);
    };
    let lease = Duration::try_from(requested).map_err(|_| Violation::new("lease", "must not be negative"))?;
    Ok(if lease.is_zero() {
        DEFAULT_LEASE
    } else {
        lease.min(LONGEST_LEASE)
    })
}

pub(super) fn progress(message: Option<proto::task::Progress>) -> Result<Option<Progress>, Violation> {
    let Some(message) = message else { return Ok(None) };
    for (field, value) in [("progress.done", message.done), ("progress.total", message.total)] {
        if value < 0 {
            return Err(Violation::new(field, "must not be negative"));
        }
    }
    Ok(Some(Progress {
        done: message.done,
        total: message.total,
    }))
}

pub(super) fn outcome(message: Option<finish_task_request::Outcome>) -> Result<Outcome, Vec<Violation>> {
    match message {
        Some(finish_task_request::Outcome::Succeeded(_)) => Ok(Outcome::Succeeded),
        Some(finish_task_request::Outcome::Cancelled(_)) => Ok(Outcome::Cancelled),
        Some(finish_task_request::Outcome::Failed(failed)) => failed_outcome(failed),
        None => Err(vec![Violation::new(
            "outcome",
            "must be succeeded, failed or cancelled",
        )]),
    }
}

fn failed_outcome(failed: Failed) -> Result<Outcome, Vec<Violation>> {
    let violations: Vec<Violation> = [
        check::required_text("failed.reason", &failed.reason, MAX_REASON_BYTES),
        check::text("failed.description", &failed.description, MAX_DESCRIPTION_BYTES),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !violations.is_empty() {
        return Err(violations);
    }
    let failure = Failure {
        reason: failed.reason,
        description: failed.description,
    };
    Ok(Outcome::Failed {
        failure,
        retryable: failed.retryable,
    })
}
