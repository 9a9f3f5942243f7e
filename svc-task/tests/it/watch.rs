//! Watching: every change once, in order, on any replica.

use std::time::Duration;

use bookmesh_proto::task::v1::{Task, task::State};
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

use crate::app::{App, succeeded};

/// Everything up to the end of the stream.
async fn rest(mut changes: Streaming<Task>) -> Result<Vec<Task>, Status> {
    let mut tasks = Vec::new();
    while let Some(task) = changes.message().await? {
        tasks.push(task);
    }
    Ok(tasks)
}

fn versions(tasks: &[Task]) -> Vec<i64> {
    tasks.iter().map(|task| task.version).collect()
}

#[tokio::test]
async fn a_watch_starts_with_a_snapshot_and_ends_with_the_task() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let mut changes = app.watch(app.channel(), owner, &id).await;
    assert_eq!(changes.message().await.unwrap().unwrap().state(), State::Queued);

    let token = app.claim(owner, &id, 15.0).await.unwrap().lease_token;
    assert_eq!(changes.message().await.unwrap().unwrap().state(), State::Running);
    app.finish(owner, &id, token, succeeded()).await.unwrap();

    let last = rest(changes).await.unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].state(), State::Succeeded);
}

#[tokio::test]
async fn two_replicas_tell_every_change_once_and_in_order() {
    let app = App::new().await;
    let other = app.start_replica().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let here = tokio::spawn(rest(app.watch(app.channel(), owner, &id).await));
    let there = tokio::spawn(rest(app.watch(other.channel.clone(), owner, &id).await));

    work(&app, owner, &id, 6).await;

    let last = app.get(owner, &id).await;
    let expected: Vec<i64> = (1..=last.version).collect();
    assert!(last.version >= 8, "claim, six reports, finish");
    for watched in [here.await.unwrap().unwrap(), there.await.unwrap().unwrap()] {
        assert_eq!(versions(&watched), expected);
        assert_eq!(watched.last(), Some(&last));
    }
}

/// A worker's whole life with the task.
pub(crate) async fn work(app: &App, owner: Uuid, id: &str, reports: i32) {
    let token = app.claim(owner, id, 60.0).await.unwrap().lease_token;
    for done in 1..=reports {
        tokio::time::sleep(Duration::from_millis(230)).await;
        app.heartbeat(owner, id, token, done).await.unwrap();
    }
    app.finish(owner, id, token, succeeded()).await.unwrap();
}

#[tokio::test]
async fn a_watch_of_a_task_that_has_ended_is_its_snapshot() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let cancelled = app.cancel(owner, &id).await;

    let watched = rest(app.watch(app.channel(), owner, &id).await).await.unwrap();

    assert_eq!(watched, [cancelled]);
}

#[tokio::test]
async fn a_watch_whose_changes_are_no_longer_kept_goes_on_with_the_task_as_it_is() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let changes = app.watch(app.channel(), owner, &id).await;
    let ended = "UPDATE tasks SET state = 'CANCELLED', due_at = NULL, version = 7 WHERE id = $1::uuid";
    sqlx::query(ended)
        .bind(&id)
        .execute(&mut app.database().await)
        .await
        .unwrap();

    let watched = rest(changes).await.unwrap();

    assert_eq!(versions(&watched), [1, 7]);
}

#[tokio::test]
async fn a_watch_ends_with_unavailable_when_the_replica_stops() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let changes = app.watch(app.channel(), owner, &id).await;

    app.stop();

    assert_eq!(rest(changes).await.unwrap_err().code(), Code::Unavailable);
}
