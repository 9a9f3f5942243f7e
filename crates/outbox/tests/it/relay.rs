//! From the outbox to the stream.

use uuid::Uuid;

use crate::fixture::Fixture;

#[tokio::test]
async fn an_event_committed_before_its_relay_started_is_published() {
    let fixture = Fixture::new().await;
    let aggregate = Uuid::now_v7();
    let id = fixture.put(aggregate, 3, "left behind by a crash").await;

    let count = fixture.relay("svc-test").run_once().await.unwrap();

    let published = fixture.published().await;
    assert_eq!((count, published.len()), (1, 1));
    let event = &published[0];
    assert_eq!(
        (event.id, event.aggregate_id, event.version, event.owner_id),
        (id, aggregate, 3, fixture.owner)
    );
    assert_eq!(event.event_type, "test.v1.ThingChanged");
    assert_eq!(event.payload, "left behind by a crash");
}

#[tokio::test]
async fn an_event_of_a_transaction_that_was_rolled_back_is_never_published() {
    let fixture = Fixture::new().await;
    let mut transaction = fixture.pool.begin().await.unwrap();
    outbox::put(&mut transaction, fixture.event(Uuid::now_v7(), 1, "never"))
        .await
        .unwrap();
    transaction.rollback().await.unwrap();

    assert_eq!(fixture.relay("svc-test").run_once().await.unwrap(), 0);
    assert!(fixture.published().await.is_empty());
}

#[tokio::test]
async fn events_of_one_aggregate_keep_their_order() {
    let fixture = Fixture::new().await;
    let aggregates = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    for version in 1..=40 {
        for aggregate in aggregates {
            fixture.put(aggregate, version, "x").await;
        }
    }

    assert_eq!(fixture.relay("svc-test").run_once().await.unwrap(), 120);

    let published = fixture.published().await;
    for aggregate in aggregates {
        let of_aggregate = published.iter().filter(|event| event.aggregate_id == aggregate);
        let versions: Vec<i64> = of_aggregate.map(|event| event.version).collect();
        assert_eq!(versions, (1..=40).collect::<Vec<i64>>());
    }
}

#[tokio::test]
async fn a_late_committer_is_not_skipped() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay("svc-test");
    let mut late = fixture.pool.begin().await.unwrap();
    let late_id = outbox::put(&mut late, fixture.event(Uuid::now_v7(), 1, "late"))
        .await
        .unwrap();
    let early_id = fixture.put(Uuid::now_v7(), 1, "early").await;
    assert_eq!(relay.run_once().await.unwrap(), 1);

    late.commit().await.unwrap();

    assert_eq!(relay.run_once().await.unwrap(), 1);
    let ids: Vec<Uuid> = fixture.published().await.iter().map(|event| event.id).collect();
    assert_eq!(ids, [early_id, late_id]);
}

#[tokio::test]
async fn a_relay_that_died_before_its_mark_leaves_no_copy_in_the_stream() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay("svc-test");
    fixture.put(Uuid::now_v7(), 1, "once").await;
    relay.run_once().await.unwrap();
    sqlx::query("UPDATE outbox SET published_at = NULL")
        .execute(&fixture.pool)
        .await
        .unwrap();

    assert_eq!(relay.run_once().await.unwrap(), 1);
    assert_eq!(fixture.published().await.len(), 1);
}

#[tokio::test]
async fn of_two_relays_one_is_active_and_the_other_takes_over() {
    let fixture = Fixture::new().await;
    let first = fixture.start_relay("first");
    assert_eq!(source_of_next(&fixture).await, "first");
    let _second = fixture.start_relay("second");
    assert_eq!(source_of_next(&fixture).await, "first");

    drop(first);

    fixture
        .until("the second relay leads", async || {
            source_of_next(&fixture).await == "second"
        })
        .await;
}

/// Puts an event and answers who published it.
async fn source_of_next(fixture: &Fixture) -> String {
    let id = fixture.put(Uuid::now_v7(), 1, "who?").await.to_string();
    let mut source = None;
    while source.is_none() {
        let messages = fixture.messages().await;
        let headers = messages.iter().filter_map(|message| message.headers.as_ref());
        let mine = headers.filter(|headers| headers.get("ce-id").is_some_and(|found| found.as_str() == id));
        source = mine
            .filter_map(|headers| headers.get("ce-source"))
            .map(ToString::to_string)
            .next();
    }
    source.unwrap()
}

#[tokio::test]
async fn a_commit_with_a_wake_up_is_published_without_waiting_for_the_poll() {
    let fixture = Fixture::new().await;
    let relay = fixture.relay("svc-test");
    let waker = relay.waker();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(relay.run(shutdown.clone()));
    fixture.put(Uuid::now_v7(), 1, "warm-up").await;
    fixture
        .until("the relay works", async || unpublished(&fixture).await == 0)
        .await;
    // By now the relay polls only once a second.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;

    fixture.put(Uuid::now_v7(), 1, "urgent").await;
    waker.wake();
    tokio::time::sleep(std::time::Duration::from_millis(250)).await;

    assert_eq!(unpublished(&fixture).await, 0);
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

async fn unpublished(fixture: &Fixture) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL");
    count.fetch_one(&fixture.pool).await.unwrap()
}

#[tokio::test]
async fn an_aggregates_events_can_be_read_back_by_its_owner() {
    let fixture = Fixture::new().await;
    let aggregate = Uuid::now_v7();
    for version in 1..=3 {
        fixture.put(aggregate, version, &version.to_string()).await;
    }
    let mut connection = fixture.pool.acquire().await.unwrap();

    let changes = outbox::changes_after(&mut connection, fixture.owner, aggregate, "test.v1.ThingChanged", 1, 10).await;
    let foreign = outbox::changes_after(
        &mut connection,
        Uuid::now_v7(),
        aggregate,
        "test.v1.ThingChanged",
        0,
        10,
    )
    .await;

    let versions: Vec<i64> = changes.unwrap().iter().map(|change| change.version).collect();
    assert_eq!(versions, [2, 3]);
    assert!(foreign.unwrap().is_empty());
}

#[tokio::test]
async fn the_metrics_say_what_was_published_and_what_waits() {
    let fixture = Fixture::new().await;
    let registry = service::metrics::Metrics::new();
    let metrics = outbox::Metrics::register(&registry);
    let relay = outbox::Relay::new(fixture.pool.clone(), fixture.nats.clone(), "svc-test", metrics);
    fixture.put(Uuid::now_v7(), 1, "counted").await;

    relay.run_once().await.unwrap();

    let text = registry.encode();
    for line in [
        "outbox_published_total 1",
        "outbox_unpublished 0",
        "outbox_oldest_unpublished_age_seconds 0.0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
}
