//! Cancelling, in every state.

use std::time::Duration;

use bookmesh_proto::task::v1::task::State;
use uuid::Uuid;

use crate::app::{App, cancelled, failed, succeeded};

#[tokio::test]
async fn a_task_that_waits_ends_at_once() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let queued = app.create(owner).await;
    let retrying = app.create(owner).await;
    let token = app.claim(owner, &retrying, 15.0).await.unwrap().lease_token;
    app.finish(owner, &retrying, token, failed(true)).await.unwrap();
    let waiting = app.create(owner).await;
    let wait = "ALTER TABLE tasks DISABLE TRIGGER legal_changes_only;
                UPDATE tasks SET state = 'WAITING_INPUT', due_at = NULL WHERE state = 'QUEUED' AND id <> '{other}';
                ALTER TABLE tasks ENABLE TRIGGER legal_changes_only";
    let wait = sqlx::AssertSqlSafe(wait.replace("{other}", &queued));
    sqlx::raw_sql(wait).execute(&mut app.database().await).await.unwrap();
    assert_eq!(app.get(owner, &waiting).await.state(), State::WaitingInput);

    for id in [queued, retrying, waiting] {
        let task = app.cancel(owner, &id).await;
        assert_eq!((task.state(), task.next_attempt_time), (State::Cancelled, None));
        assert!(app.claim(owner, &id, 15.0).await.is_err());
    }
}

#[tokio::test]
async fn a_running_task_ends_when_its_worker_has_heard() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let token = app.claim(owner, &id, 15.0).await.unwrap().lease_token;

    assert_eq!(app.cancel(owner, &id).await.state(), State::Cancelling);
    assert!(app.heartbeat(owner, &id, token, 1).await.unwrap().cancel_requested);
    assert_eq!(
        app.finish(owner, &id, token, cancelled()).await.unwrap().state(),
        State::Cancelled
    );
}

#[tokio::test]
async fn work_done_before_its_worker_heard_counts() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let token = app.claim(owner, &id, 15.0).await.unwrap().lease_token;
    app.cancel(owner, &id).await;

    assert_eq!(
        app.finish(owner, &id, token, succeeded()).await.unwrap().state(),
        State::Succeeded
    );
}

#[tokio::test]
async fn an_attempt_that_fails_while_it_is_cancelled_is_not_retried() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let token = app.claim(owner, &id, 15.0).await.unwrap().lease_token;
    app.cancel(owner, &id).await;

    assert_eq!(
        app.finish(owner, &id, token, failed(true)).await.unwrap().state(),
        State::Cancelled
    );
}

#[tokio::test]
async fn a_cancelled_task_whose_worker_vanished_ends_by_itself() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    app.claim(owner, &id, 0.2).await.unwrap();

    app.cancel(owner, &id).await;
    tokio::time::sleep(Duration::from_millis(200)).await;

    app.until_state(owner, &id, State::Cancelled).await;
}

#[tokio::test]
async fn cancelling_again_or_too_late_changes_nothing() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let cancelling = app.create(owner).await;
    app.claim(owner, &cancelling, 15.0).await.unwrap();
    let cancelled = app.create(owner).await;
    let done = app.create(owner).await;
    let token = app.claim(owner, &done, 15.0).await.unwrap().lease_token;
    let succeeded = app.finish(owner, &done, token, succeeded()).await.unwrap();

    for id in [cancelling, cancelled] {
        let first = app.cancel(owner, &id).await;
        assert_eq!(app.cancel(owner, &id).await, first);
    }
    assert_eq!(app.cancel(owner, &done).await, succeeded);
}
