//! NATS dies, or forgets everything, while tasks are at work.

use std::time::Duration;

use bookmesh_proto::task::v1::{Job, Task, task::State};
use devstack::{Devstack, Ports};
use outbox::Jobs;
use prost::Message;
use tonic::Streaming;
use uuid::Uuid;

use crate::{app::App, watch::work};

async fn versions(mut changes: Streaming<Task>) -> Vec<i64> {
    let mut versions = Vec::new();
    while let Some(task) = changes.message().await.unwrap() {
        versions.push(task.version);
    }
    versions
}

#[tokio::test]
async fn tasks_are_worked_on_and_watched_while_nats_is_away() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let app = App::alone(&stack).await;
    let owner = Uuid::now_v7();
    let before = app.create(owner).await;
    let watched_before = tokio::spawn(versions(app.watch(app.channel(), owner, &before).await));

    stack.kill_nats().unwrap();
    let meanwhile = app.create(owner).await;
    let watched_meanwhile = tokio::spawn(versions(app.watch(app.channel(), owner, &meanwhile).await));
    work(&app, owner, &before, 4).await;
    work(&app, owner, &meanwhile, 4).await;

    for (watched, id) in [(watched_before, before), (watched_meanwhile, meanwhile)] {
        let task = app.get(owner, &id).await;
        assert_eq!(task.state(), State::Succeeded);
        assert_eq!(watched.await.unwrap(), (1..=task.version).collect::<Vec<i64>>());
    }
}

#[tokio::test]
async fn a_hint_that_jetstream_lost_is_given_again() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let app = App::alone(&stack).await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    // Time for the hint to get into the queue, from which it is then lost.
    tokio::time::sleep(Duration::from_secs(2)).await;

    stack.wipe_jetstream().unwrap();

    let mut jobs = Jobs::new(outbox::connect_nats(&app.nats_url).await.unwrap(), "import");
    let hint = tokio::time::timeout(Duration::from_secs(60), jobs.next())
        .await
        .unwrap();
    assert_eq!(Job::decode(hint.payload().clone()).unwrap().task_id, id);
}
