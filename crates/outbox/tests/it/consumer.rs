//! From the stream to the effect: twice, out of order, poison.

use std::time::Duration;

use async_nats::jetstream;
use uuid::Uuid;

use crate::fixture::Fixture;

const QUICK: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(50)];

#[tokio::test]
async fn an_event_is_applied_in_a_transaction_of_its_owner() {
    let fixture = Fixture::new().await;
    let _relay = fixture.start_relay("svc-test");
    let _consumer = fixture.start_consumer(&QUICK);
    let id = fixture.put(Uuid::now_v7(), 1, "fine").await;

    let effects = fixture.until_effects(1).await;

    assert_eq!(
        (effects[0].event_id, effects[0].owner.as_str()),
        (id, fixture.owner.to_string().as_str())
    );
}

#[tokio::test]
async fn an_event_delivered_twice_is_applied_once() {
    let fixture = Fixture::new().await;
    let first = fixture.put(Uuid::now_v7(), 1, "fine").await;
    fixture.relay("svc-test").run_once().await.unwrap();
    // A copy that JetStream does not recognise: the same event in a message of another id.
    let original = fixture.messages().await.remove(0);
    let mut headers = original.headers.clone().unwrap();
    headers.insert("Nats-Msg-Id", "another");
    let context = jetstream::new(fixture.nats.clone());
    let copy = context.publish_with_headers(original.subject.clone(), headers, original.payload.clone());
    copy.await.unwrap().await.unwrap();
    let last = fixture.put(Uuid::now_v7(), 1, "fine").await;
    fixture.relay("svc-test").run_once().await.unwrap();

    let _consumer = fixture.start_consumer(&QUICK);

    let applied = async || fixture.effects().await.iter().any(|effect| effect.event_id == last);
    fixture.until("the last event is applied", applied).await;
    let ids: Vec<Uuid> = fixture.effects().await.iter().map(|effect| effect.event_id).collect();
    assert_eq!(ids, [first, last]);
}

#[tokio::test]
async fn two_replicas_apply_each_event_once() {
    let fixture = Fixture::new().await;
    let _relay = fixture.start_relay("svc-test");
    let _first = fixture.start_consumer(&QUICK);
    let _second = fixture.start_consumer(&QUICK);
    let mut put = Vec::new();
    for version in 1..=100 {
        put.push(fixture.put(Uuid::now_v7(), version, "fine").await);
    }

    let effects = fixture.until_effects(100).await;

    let mut applied: Vec<Uuid> = effects.iter().map(|effect| effect.event_id).collect();
    applied.sort();
    put.sort();
    assert_eq!(applied, put);
}

#[tokio::test]
async fn an_event_that_fails_at_first_comes_again_after_its_successors() {
    let fixture = Fixture::new().await;
    let _relay = fixture.start_relay("svc-test");
    let aggregate = Uuid::now_v7();
    fixture.put(aggregate, 1, "hiccup").await;
    fixture.put(aggregate, 2, "fine").await;

    let _consumer = fixture.start_consumer(&[Duration::from_secs(1)]);

    let versions: Vec<i64> = fixture
        .until_effects(2)
        .await
        .iter()
        .map(|effect| effect.version)
        .collect();
    assert_eq!(versions, [2, 1]);
    assert!(fixture.dead_letters().await.is_empty());
}

#[tokio::test]
async fn poison_does_not_hold_up_its_neighbours_and_ends_in_the_dead_letters() {
    let fixture = Fixture::new().await;
    let _relay = fixture.start_relay("svc-test");
    let aggregate = Uuid::now_v7();
    let before = fixture.put(aggregate, 1, "fine").await;
    let poison = fixture.put(aggregate, 2, "poison").await;
    let after = fixture.put(aggregate, 3, "fine").await;

    let _consumer = fixture.start_consumer(&QUICK);

    let ids: Vec<Uuid> = fixture
        .until_effects(2)
        .await
        .iter()
        .map(|effect| effect.event_id)
        .collect();
    assert_eq!(ids, [before, after]);
    fixture
        .until("the poison is buried", async || {
            !fixture.dead_letters().await.is_empty()
        })
        .await;
    let letters = fixture.dead_letters().await;
    assert_eq!(letters, [(Some(poison), 3, "this cannot be swallowed".to_owned())]);
    assert_eq!(fixture.effects().await.len(), 2);
}

#[tokio::test]
async fn a_message_that_is_no_event_ends_in_the_dead_letters() {
    let fixture = Fixture::new().await;
    // Makes the stream.
    fixture.relay("svc-test").run_once().await.unwrap();
    let context = jetstream::new(fixture.nats.clone());
    let subject = outbox::subject(&fixture.service, "thing_changed", fixture.owner);
    context
        .publish(subject, "gibberish".into())
        .await
        .unwrap()
        .await
        .unwrap();

    let _consumer = fixture.start_consumer(&QUICK);

    fixture
        .until("it is buried", async || !fixture.dead_letters().await.is_empty())
        .await;
    assert_eq!(
        fixture.dead_letters().await,
        [(None, 1, "the message has no headers".to_owned())]
    );
}
