//! Several endpoints behind one address: the calls are spread, and a dead endpoint is left.

use std::time::{Duration, Instant};

use edge_gateway::Finding;
use futures::future::join_all;
use tokio::net::TcpListener;
use tonic::Code;

use crate::app::App;
use crate::replica::Replica;

const PATIENCE: Duration = Duration::from_secs(20);

async fn two() -> (Replica, Replica, App) {
    let (one, other) = (Replica::start().await, Replica::start().await);
    let app = App::start_library_at(&format!("{},{}", one.url(), other.url()), Finding::default(), "").await;
    (one, other, app)
}

/// The statuses of so many calls, one after the other.
async fn call(app: &App, count: usize) -> Vec<u16> {
    let mut statuses = Vec::with_capacity(count);
    for _ in 0..count {
        statuses.push(app.get("/v1/books").send().await.unwrap().status().as_u16());
    }
    statuses
}

/// Waits until calls make the condition true.
async fn call_until(app: &App, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "it never came about");
        call(app, 1).await;
    }
}

#[tokio::test]
async fn calls_under_way_are_shared_evenly() {
    let (one, other, app) = two().await;
    one.hold();
    other.hold();

    let calls = (0..20).map(|_| app.get("/v1/books").send());
    let calls = tokio::spawn(join_all(calls.collect::<Vec<_>>()));
    let begun = Instant::now();
    while one.calls() + other.calls() < 20 {
        assert!(begun.elapsed() < PATIENCE, "the calls never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    assert!((8..=12).contains(&one.calls()), "{} and {}", one.calls(), other.calls());
    for replica in [&one, &other] {
        replica.release(20);
    }
    for response in calls.await.unwrap() {
        assert_eq!(response.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_killed_endpoint_costs_a_call_or_two_and_gets_calls_again_when_it_is_back() {
    let (one, other, app) = two().await;
    call_until(&app, || one.calls() > 0 && other.calls() > 0).await;

    one.kill();
    let statuses = call(&app, 40).await;
    let failed = statuses.iter().filter(|status| **status != 200).count();
    assert!(failed <= 2, "{statuses:?}");

    let calls_before = one.calls();
    one.start_again().await;
    other.refuse_with(Code::ResourceExhausted);
    call_until(&app, || one.calls() > calls_before).await;
}

#[tokio::test]
async fn an_endpoint_that_was_never_there_gets_no_more_than_the_calls_that_find_out() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let alive = Replica::start().await;
    let app = App::start_library_at(&format!("http://{unused},{}", alive.url()), Finding::default(), "").await;

    let statuses = call(&app, 40).await;

    let failed = statuses.iter().filter(|status| **status != 200).count();
    assert!(failed <= 1, "{statuses:?}");
}

#[tokio::test]
async fn an_endpoint_that_takes_calls_and_never_answers_is_left() {
    let (silent, alive, app) = two().await;
    silent.hold();
    let held = app.get("/v1/books").header("request-timeout", "4");
    let mut held_calls = Vec::new();
    let begun = Instant::now();
    while silent.calls() == 0 {
        assert!(begun.elapsed() < PATIENCE, "it got no call");
        held_calls.push(tokio::spawn(held.try_clone().unwrap().send()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Longer than an endpoint may be silent.
    tokio::time::sleep(Duration::from_millis(800)).await;

    let calls_before = (silent.calls(), alive.calls());
    assert_eq!(call(&app, 30).await, [200; 30]);

    assert_eq!(silent.calls(), calls_before.0);
    assert_eq!(alive.calls(), calls_before.1 + 30);
}

#[tokio::test]
async fn refusing_at_once_does_not_look_fast() {
    let (refusing, alive, app) = two().await;
    refusing.refuse_with(Code::ResourceExhausted);

    let statuses = call(&app, 60).await;

    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(refused <= 2, "{statuses:?}");
    assert!(alive.calls() >= 58);
}

#[tokio::test]
async fn a_service_is_ready_as_long_as_one_of_its_endpoints_is() {
    let (one, other, app) = two().await;
    let readiness = async |expected: u16| {
        let begun = Instant::now();
        loop {
            let status = app.get("/health/ready").send().await.unwrap().status().as_u16();
            if status == expected {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "still {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    readiness(200).await;

    one.kill();
    call(&app, 5).await;
    // The answer is kept for a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    readiness(200).await;

    other.kill();
    readiness(503).await;
}
