//! What happens to tasks that nobody looks after.

use std::time::Duration;

use bookmesh_proto::task::v1::{Job, task::State};
use outbox::Jobs;
use prost::Message;
use uuid::Uuid;

use crate::app::{App, new_task};

#[tokio::test]
async fn a_worker_that_died_has_not_used_up_an_attempt() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;

    for _ in 0..5 {
        let claimed = loop {
            match app.claim(owner, &id, 15.0).await {
                Ok(claimed) => break claimed,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        assert_eq!(claimed.task.unwrap().attempt, 1);
        app.make_due(&id).await;
        app.until_state(owner, &id, State::Retrying).await;
        app.make_due(&id).await;
    }

    let task = app.get(owner, &id).await;
    assert_eq!((task.state(), task.error), (State::Retrying, None));
}

#[tokio::test]
async fn a_task_that_kills_worker_after_worker_is_given_up() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let worn = "UPDATE tasks SET losses = 19 WHERE id = $1::uuid";
    sqlx::query(worn)
        .bind(&id)
        .execute(&mut app.database().await)
        .await
        .unwrap();

    app.claim(owner, &id, 0.1).await.unwrap();

    let task = app.until_state(owner, &id, State::Failed).await;
    assert_eq!(task.error.unwrap().reason, "WORKERS_LOST");
}

#[tokio::test]
async fn progress_forgives_the_workers_that_vanished() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let worn = "UPDATE tasks SET losses = 19 WHERE id = $1::uuid";
    sqlx::query(worn)
        .bind(&id)
        .execute(&mut app.database().await)
        .await
        .unwrap();
    let token = app.claim(owner, &id, 15.0).await.unwrap().lease_token;
    tokio::time::sleep(Duration::from_millis(250)).await;
    app.heartbeat(owner, &id, token, 10).await.unwrap();

    app.make_due(&id).await;

    app.until_state(owner, &id, State::Retrying).await;
}

#[tokio::test]
async fn workers_are_hinted_at_a_new_task_and_again_when_nobody_took_it() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let kind = format!("k{}", &Uuid::new_v4().simple().to_string()[..20]);
    let mut request = new_task(Uuid::now_v7());
    request.kind = kind.clone();
    let id = request.id.clone();
    app.services().create_task(app.for_owner(owner, request)).await.unwrap();
    let nats = outbox::connect_nats(&app.nats_url).await.unwrap();
    let mut jobs = Jobs::new(nats, &kind);

    let expected = Job {
        task_id: id.clone(),
        attempt: 1,
        owner_id: owner.to_string(),
    };
    assert_eq!(next(&mut jobs).await, expected);
    app.make_due(&id).await;
    assert_eq!(next(&mut jobs).await, expected);
}

/// The next hint; it is then used up, as if its worker had died before it claimed.
async fn next(jobs: &mut Jobs) -> Job {
    let message = tokio::time::timeout(Duration::from_secs(60), jobs.next())
        .await
        .unwrap();
    message.done().await.unwrap();
    Job::decode(message.payload().clone()).unwrap()
}

#[tokio::test]
async fn replicas_that_sweep_at_once_change_a_task_once() {
    let app = App::new().await;
    let _replicas = [app.start_replica().await, app.start_replica().await];
    let owner = Uuid::now_v7();
    let mut ids = Vec::new();
    for _ in 0..40 {
        let id = app.create(owner).await;
        app.claim(owner, &id, 15.0).await.unwrap();
        ids.push(id);
    }
    let over = "UPDATE tasks SET due_at = now() WHERE state = 'RUNNING'";
    sqlx::query(over).execute(&mut app.database().await).await.unwrap();

    for id in ids {
        let task = app.until_state(owner, &id, State::Retrying).await;
        assert_eq!(task.version, 3);
    }
}
