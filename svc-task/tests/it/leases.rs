//! Workers: claiming, keeping, finishing, and losing a lease.

use std::time::Duration;

use bookmesh_proto::task::v1::{FinishTaskRequest, HeartbeatTaskRequest, task::Progress, task::State};
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::app::{App, cancelled, failed, fields, reason, succeeded};

#[tokio::test]
async fn a_worker_claims_reports_and_finishes() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;

    let claimed = app.claim(owner, &id, 15.0).await.unwrap();
    let task = claimed.task.unwrap();
    assert_eq!(
        (task.state(), task.attempt, claimed.owner_id),
        (State::Running, 1, owner.to_string())
    );

    tokio::time::sleep(Duration::from_millis(250)).await;
    let heartbeat = app.heartbeat(owner, &id, claimed.lease_token, 400).await.unwrap();
    assert!(!heartbeat.cancel_requested);
    assert_eq!(
        app.get(owner, &id).await.progress,
        Some(Progress { done: 400, total: 1000 })
    );

    let finished = app.finish(owner, &id, claimed.lease_token, succeeded()).await.unwrap();
    assert_eq!((finished.state(), finished.error.clone()), (State::Succeeded, None));
    assert_eq!(app.get(owner, &id).await, finished);
}

#[tokio::test]
async fn two_workers_race_and_one_gets_it() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;

    let claims = futures::future::join_all((0..8).map(|_| app.claim(owner, &id, 15.0))).await;

    let (won, lost): (Vec<_>, Vec<_>) = claims.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 7));
    for error in lost {
        let error = error.unwrap_err();
        assert_eq!(
            reason(&error),
            (Code::FailedPrecondition, "TASK_NOT_CLAIMABLE".to_owned())
        );
        assert_eq!(error.get_details_error_info().unwrap().metadata["state"], "RUNNING");
    }
}

#[tokio::test]
async fn later_leases_have_greater_tokens() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let mut last = 0;
    for _ in 0..5 {
        let id = app.create(owner).await;
        let token = app.claim(owner, &id, 15.0).await.unwrap().lease_token;
        assert!(token > last);
        last = token;
    }
}

#[tokio::test]
async fn a_worker_that_slept_past_its_lease_cannot_write() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let sleeper = app.claim(owner, &id, 0.2).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;

    let heartbeat = app.heartbeat(owner, &id, sleeper.lease_token, 1).await.unwrap_err();
    let finish = app
        .finish(owner, &id, sleeper.lease_token, succeeded())
        .await
        .unwrap_err();

    for error in [heartbeat, finish] {
        assert_eq!(reason(&error), (Code::Aborted, "LEASE_LOST".to_owned()));
    }
}

#[tokio::test]
async fn a_lease_that_ran_out_goes_to_the_next_worker_and_the_first_is_fenced_off() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let first = app.claim(owner, &id, 15.0).await.unwrap();
    app.make_due(&id).await;
    let second = take_over(&app, owner, &id).await;

    let stale = app
        .finish(owner, &id, first.lease_token, failed(false))
        .await
        .unwrap_err();

    assert!(second > first.lease_token);
    assert_eq!(reason(&stale), (Code::Aborted, "LEASE_LOST".to_owned()));
    let task = app.finish(owner, &id, second, succeeded()).await.unwrap();
    assert_eq!((task.state(), task.attempt), (State::Succeeded, 1));
}

/// Claims until it works: the sweeper may have put the task off for a moment.
async fn take_over(app: &App, owner: Uuid, id: &str) -> i64 {
    loop {
        if let Ok(claimed) = app.claim(owner, id, 15.0).await {
            return claimed.lease_token;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn finishing_twice_with_the_same_lease_is_finishing_once() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let token = app.claim(owner, &id, 15.0).await.unwrap().lease_token;

    let first = app.finish(owner, &id, token, succeeded()).await.unwrap();
    let second = app.finish(owner, &id, token, succeeded()).await.unwrap();

    assert_eq!(first, second);
}

#[tokio::test]
async fn a_failure_is_retried_until_the_attempts_are_used_up() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;

    for attempt in 1..=3 {
        let claimed = app.claim(owner, &id, 15.0).await.unwrap();
        assert_eq!(claimed.task.unwrap().attempt, attempt);
        let task = app.finish(owner, &id, claimed.lease_token, failed(true)).await.unwrap();
        let expected = if attempt < 3 { State::Retrying } else { State::Failed };
        assert_eq!(
            (task.state(), task.error.unwrap().reason.as_str()),
            (expected, "BROKEN")
        );
        assert_eq!(task.next_attempt_time.is_some(), expected == State::Retrying);
        app.make_due(&id).await;
    }
}

#[tokio::test]
async fn a_retry_is_not_to_be_had_before_its_time() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let token = app.claim(owner, &id, 15.0).await.unwrap().lease_token;
    app.finish(owner, &id, token, failed(true)).await.unwrap();
    let later = "UPDATE tasks SET next_attempt_at = now() + interval '1 hour' WHERE id = $1::uuid";
    sqlx::query(later)
        .bind(&id)
        .execute(&mut app.database().await)
        .await
        .unwrap();

    let error = app.claim(owner, &id, 15.0).await.unwrap_err();

    assert_eq!(error.get_details_error_info().unwrap().metadata["state"], "RETRYING");
}

#[tokio::test]
async fn a_failure_that_no_retry_can_help_is_final() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let token = app.claim(owner, &id, 15.0).await.unwrap().lease_token;

    let task = app.finish(owner, &id, token, failed(false)).await.unwrap();

    assert_eq!(
        (task.state(), task.attempt, task.next_attempt_time),
        (State::Failed, 1, None)
    );
}

#[tokio::test]
async fn a_worker_may_not_say_cancelled_when_nobody_asked() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let token = app.claim(owner, &id, 15.0).await.unwrap().lease_token;

    let error = app.finish(owner, &id, token, cancelled()).await.unwrap_err();

    assert_eq!(
        reason(&error),
        (Code::FailedPrecondition, "TASK_NOT_CANCELLING".to_owned())
    );
    assert_eq!(app.get(owner, &id).await.state(), State::Running);
}

#[tokio::test]
async fn progress_that_comes_too_fast_makes_no_versions() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let token = app.claim(owner, &id, 15.0).await.unwrap().lease_token;

    for done in 1..=50 {
        app.heartbeat(owner, &id, token, done).await.unwrap();
    }

    let task = app.get(owner, &id).await;
    assert!(task.version < 30, "50 heartbeats made {} versions", task.version - 2);
}

#[tokio::test]
async fn nonsense_of_workers_is_refused_by_field() {
    let app = App::new().await;
    let owner = Uuid::now_v7();
    let id = app.create(owner).await;
    let negative_lease = Some(prost_types::Duration { seconds: -1, nanos: 0 });
    let negative_progress = Some(Progress { done: -1, total: 0 });

    let claim = bookmesh_proto::task::v1::ClaimTaskRequest {
        id: id.clone(),
        lease: negative_lease,
    };
    let claim = app
        .services()
        .claim_task(app.for_owner(owner, claim))
        .await
        .unwrap_err();
    let heartbeat = HeartbeatTaskRequest {
        id: id.clone(),
        lease_token: 1,
        lease: None,
        progress: negative_progress,
    };
    let heartbeat = app
        .services()
        .heartbeat_task(app.for_owner(owner, heartbeat))
        .await
        .unwrap_err();
    let finish = FinishTaskRequest {
        id,
        lease_token: 1,
        progress: None,
        outcome: None,
    };
    let finish = app
        .services()
        .finish_task(app.for_owner(owner, finish))
        .await
        .unwrap_err();

    assert_eq!(fields(&claim), ["lease"]);
    assert_eq!(fields(&heartbeat), ["progress.done"]);
    assert_eq!(fields(&finish), ["outcome"]);
}
