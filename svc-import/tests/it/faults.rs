//! What happens when things stop in the middle.

use std::time::Duration;

use bookmesh_proto::{imports::v1::import::State, task::v1::task};
use devstack::{Devstack, Ports};
use svc_import::Limits;
use tokio::time::sleep;

use crate::app::{App, LIMITS, User, generated_file};

#[tokio::test]
async fn a_worker_killed_between_saving_and_noting_is_made_good_by_the_next() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let mut app = App::start(stack.nats_url()).await;
    let file = generated_file(3_000);
    let user = app.user();
    let (id, owner) = (user.upload(&file).await.unwrap().id, user.clone_credentials());
    user.wait_until(&id, |import| import.counts.as_ref().unwrap().rows > 0)
        .await;

    let held = app.hold_import(&id).await;
    let noted = user.import(&id).await.unwrap().counts.unwrap().rows;
    wait_until_saved_beyond(&user, i64::from(noted)).await;
    app.kill_import();
    drop(held);
    app.start_import();

    let user = app.user_with(&owner);
    let import = user.wait_for_end(&id).await;
    let counts = import.counts.unwrap();
    assert_eq!(
        (import.state, counts.rows, counts.created),
        (State::Completed.into(), 3_000, 3_000)
    );
    assert_eq!(user.count_bookmarks().await, 3_000);
    user.wait_for_task(&import.task_id, task::State::Succeeded).await;
}

#[tokio::test]
async fn an_upload_is_taken_while_svc_task_is_away_and_imported_when_it_is_back() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let mut app = App::start_without_import_and_task(stack.nats_url()).await;
    app.start_import();
    let user = app.user();
    let (id, owner) = (
        user.upload(generated_file(10)).await.unwrap().id,
        user.clone_credentials(),
    );
    assert_eq!(user.import(&id).await.unwrap().state(), State::Queued);

    app.start_task();

    let import = app.user_with(&owner).wait_for_end(&id).await;
    assert_eq!(import.state(), State::Completed);
}

#[tokio::test]
async fn a_cancelled_import_stops_and_keeps_what_is_saved() {
    let app = App::shared().await;
    let user = app.user();
    let import = user.upload(generated_file(8_000)).await.unwrap();
    user.wait_until(&import.id, |import| import.counts.as_ref().unwrap().rows > 0)
        .await;

    let held = app.hold_import(&import.id).await;
    user.cancel_task(&import.task_id).await;
    sleep(Duration::from_secs(2)).await;
    drop(held);

    let import = user.wait_for_end(&import.id).await;
    user.wait_for_task(&import.task_id, task::State::Cancelled).await;
    let rows = import.counts.unwrap().rows;
    assert_eq!(import.state(), State::Cancelled);
    assert!(rows < 8_000);
    assert_eq!(user.count_bookmarks().await, i64::from(rows));
}

#[tokio::test]
async fn an_import_whose_task_is_cancelled_while_it_waits_ends_without_a_worker() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let mut app = App::start_without_import_and_task(stack.nats_url()).await;
    app.start_task();
    app.start_import_with(Limits { workers: 0, ..LIMITS });
    let user = app.user();
    let import = user.upload(generated_file(10)).await.unwrap();

    user.cancel_task(&import.task_id).await;

    let import = user.wait_for_end(&import.id).await;
    assert_eq!(import.state(), State::Cancelled);
    let again = user.upload(generated_file(10)).await.unwrap();
    assert_ne!(again.id, import.id);
}

/// Until svc-bookmarks has a batch more than svc-import has noted.
async fn wait_until_saved_beyond(user: &User<'_>, noted: i64) {
    for _ in 0..200 {
        if user.count_bookmarks().await > noted {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("no batch was saved");
}
