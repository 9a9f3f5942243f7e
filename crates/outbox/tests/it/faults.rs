//! NATS or Postgres dies, or JetStream forgets everything, while relay and consumer run.

use std::time::Duration;

use devstack::{Devstack, Ports};
use outbox::{Jobs, NewEvent};
use uuid::Uuid;

use crate::fixture::Fixture;

const PATIENT: [Duration; 7] = [Duration::from_millis(200); 7];

#[tokio::test]
async fn events_wait_while_nats_is_away() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let fixture = Fixture::alone(&stack).await;
    let _relay = fixture.start_relay("svc-test");
    let _consumer = fixture.start_consumer(&PATIENT);
    let aggregate = Uuid::now_v7();
    fixture.put(aggregate, 1, "before").await;
    fixture.until_effects(1).await;

    stack.kill_nats().unwrap();
    for version in 2..=20 {
        fixture.put(aggregate, version, "meanwhile").await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    stack.start_nats().unwrap();

    let effects = fixture.until_effects(20).await;
    let versions: Vec<i64> = effects.iter().map(|effect| effect.version).collect();
    assert_eq!(versions, (1..=20).collect::<Vec<i64>>());
}

#[tokio::test]
async fn relay_and_consumer_survive_the_death_of_postgres() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let fixture = Fixture::alone(&stack).await;
    let _relay = fixture.start_relay("svc-test");
    let consumer = fixture.start_consumer(&PATIENT);
    let aggregate = Uuid::now_v7();
    fixture.put(aggregate, 1, "before").await;
    fixture.until_effects(1).await;
    drop(consumer);
    let waits = fixture.put(aggregate, 2, "published, not handled").await;
    let published = async || fixture.published().await.iter().any(|event| event.id == waits);
    fixture.until("the second event is published", published).await;

    stack.kill_postgres().unwrap();
    let _consumer = fixture.start_consumer(&PATIENT);
    // Longer than all deliveries would take if each counted.
    tokio::time::sleep(Duration::from_secs(3)).await;
    stack.start_postgres().unwrap();

    fixture
        .until("postgres is back", async || fixture.pool.acquire().await.is_ok())
        .await;
    fixture.put(aggregate, 3, "after").await;
    let versions: Vec<i64> = fixture
        .until_effects(3)
        .await
        .iter()
        .map(|effect| effect.version)
        .collect();
    assert_eq!(versions, [1, 2, 3]);
    assert!(fixture.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_wiped_stream_is_filled_again_and_nothing_is_applied_twice() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let fixture = Fixture::alone(&stack).await;
    let _relay = fixture.start_relay("svc-test");
    let _consumer = fixture.start_consumer(&PATIENT);
    let aggregate = Uuid::now_v7();
    for version in 1..=20 {
        fixture.put(aggregate, version, "before").await;
    }
    fixture.until_effects(20).await;

    stack.wipe_jetstream().unwrap();
    fixture.put(aggregate, 21, "after").await;

    fixture.until_effects(21).await;
    let refilled = async || fixture.published().await.len() == 21;
    fixture.until("the stream has all events", refilled).await;
    let versions: Vec<i64> = fixture.effects().await.iter().map(|effect| effect.version).collect();
    assert_eq!(versions, (1..=21).collect::<Vec<i64>>());
}

#[tokio::test]
async fn the_work_queue_works_again_after_a_wipe() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let fixture = Fixture::alone(&stack).await;
    let _relay = fixture.start_relay("svc-test");
    let mut jobs = Jobs::new(fixture.nats.clone(), "thing");
    let wait = tokio::spawn(async move { jobs.next().await.payload().clone() });
    tokio::time::sleep(Duration::from_secs(1)).await;

    stack.wipe_jetstream().unwrap();
    let mut transaction = fixture.pool.begin().await.unwrap();
    let job = NewEvent {
        subject: "jobs.thing".to_owned(),
        ..fixture.event(Uuid::now_v7(), 1, "due")
    };
    outbox::put(&mut transaction, job).await.unwrap();
    transaction.commit().await.unwrap();

    let payload = tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(payload, "due");
}
