//! Events tell the edge what is old.

use std::time::Duration;

use async_nats::Client;
use devstack::{Devstack, Ports, shared};
use uuid::Uuid;

use crate::app::App;

async fn cache_status(app: &App, user: Uuid) -> String {
    let request = app.get("/v1/notes/7").bearer_auth(app.issuer.access_token(user));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.headers()["cache-status"].to_str().unwrap().to_owned()
}

/// Asks until the cache says what is expected, for at most 20 seconds.
async fn wait_for(app: &App, user: Uuid, expected: &str) {
    let mut status = String::new();
    for _ in 0..2_000 {
        status = cache_status(app, user).await;
        if status.starts_with(expected) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{status} is not {expected}");
}

async fn publish(nats: &Client, source: &str, owner: Uuid) {
    let subject = format!("evt.{source}.book_changed.{owner}");
    nats.publish(subject, "".into()).await.unwrap();
}

#[tokio::test]
async fn an_event_makes_what_is_kept_of_its_owner_old_and_nothing_else() {
    let app = App::start().await;
    let nats_url = shared().await.nats_url();
    app.follow_events(nats_url.clone()).await;
    let nats = async_nats::connect(nats_url).await.unwrap();
    let [ada, grace, marker] = [(); 3].map(|()| Uuid::now_v7());
    for user in [ada, grace, marker] {
        cache_status(&app, user).await;
        assert!(cache_status(&app, user).await.starts_with("edge; hit"));
    }

    publish(&nats, "shop", ada).await;
    publish(&nats, "library", grace).await;
    publish(&nats, "library", marker).await;
    wait_for(&app, marker, "edge; fwd=stale").await;

    assert!(cache_status(&app, ada).await.starts_with("edge; hit"));
    assert_eq!(cache_status(&app, grace).await, "edge; fwd=stale; stored");
}

#[tokio::test]
async fn without_events_nothing_of_a_users_own_is_fresh() {
    let app = App::start().await;
    let user = Uuid::now_v7();

    assert_eq!(cache_status(&app, user).await, "edge; fwd=miss; stored");
    assert_eq!(cache_status(&app, user).await, "edge; fwd=stale; stored");
}

#[tokio::test]
async fn when_events_may_have_been_missed_everything_is_asked_again() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let app = App::start().await;
    app.follow_events(stack.nats_url()).await;
    let user = Uuid::now_v7();
    cache_status(&app, user).await;
    assert!(cache_status(&app, user).await.starts_with("edge; hit"));

    let stack = tokio::task::spawn_blocking(move || {
        stack.kill_nats().unwrap();
        stack
    });
    let stack = stack.await.unwrap();
    app.wait_for_figure("edge_cache_events_connected 0").await;
    assert_eq!(cache_status(&app, user).await, "edge; fwd=stale; stored");
    assert_eq!(cache_status(&app, user).await, "edge; fwd=stale; stored");
    let stack = tokio::task::spawn_blocking(move || {
        stack.start_nats().unwrap();
        stack
    });
    let stack = stack.await.unwrap();
    app.wait_for_figure("edge_cache_events_connected 1").await;

    assert_eq!(cache_status(&app, user).await, "edge; fwd=stale; stored");
    assert!(cache_status(&app, user).await.starts_with("edge; hit"));
    let nats = async_nats::connect(stack.nats_url()).await.unwrap();
    publish(&nats, "library", user).await;
    wait_for(&app, user, "edge; fwd=stale").await;
    stack.stop().await;
}
