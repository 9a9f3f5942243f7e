//! Endpoints that come and go, as a Kubernetes API tells it.

mod api;
mod tls;

use std::time::{Duration, Instant};

use api::{FakeApi, Serving};
use edge_gateway::{Finding, KubernetesApi};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::app::App;
use crate::replica::Replica;

const ADDRESS: &str = "kubernetes://shop/books:grpc";
/// More than any test makes.
const PLENTY: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(30);

async fn serve(api: &FakeApi) -> Serving {
    api.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await
}

fn finding(serving: &Serving, zone: Option<&str>) -> Finding {
    Finding {
        zone: zone.map(str::to_owned),
        kubernetes: Some(KubernetesApi {
            url: format!("http://{}", serving.address),
            account: None,
        }),
    }
}

async fn start(api: &FakeApi) -> (Serving, App) {
    let serving = serve(api).await;
    let app = App::start_library_at(ADDRESS, finding(&serving, None), "").await;
    (serving, app)
}

/// One endpoint; its port is the slice's.
fn ready() -> Value {
    json!([{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}])
}

fn ending() -> Value {
    json!([{"addresses": ["127.0.0.1"], "conditions": {"ready": false, "serving": true, "terminating": true}}])
}

impl FakeApi {
    /// A slice of its own for each, because they share an address.
    fn put_replica(&self, name: &str, replica: &Replica) {
        self.put(name, "books", replica.address.port(), &ready());
    }
}

/// Calls until the condition holds.
async fn call_until(app: &App, what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        app.get("/v1/books").send().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Calls until one is answered so.
async fn answered_with(app: &App, status: u16) {
    let begun = Instant::now();
    while app.get("/v1/books").send().await.unwrap().status() != status {
        assert!(begun.elapsed() < PATIENCE, "never {status}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn watched(api: &FakeApi) {
    let begun = Instant::now();
    while !api.is_watched() {
        assert!(begun.elapsed() < PATIENCE, "nobody watches");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// So many calls under way at once that each endpoint gets some of them.
const MANY: usize = 60;

/// The replica gets no more calls, and the others answer.
async fn is_left(app: &App, left: &Replica, others: &[&Replica]) {
    let begun = Instant::now();
    loop {
        let calls_before = left.calls();
        call_all_at_once(app, &[&[left], others].concat()).await;
        if left.calls() == calls_before {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "it still gets calls");
    }
}

/// Nobody answers before all calls have come in.
async fn call_all_at_once(app: &App, replicas: &[&Replica]) {
    let count = || replicas.iter().map(|replica| replica.calls()).sum::<usize>();
    let calls_before = count();
    replicas.iter().for_each(|replica| replica.hold());
    let calls: Vec<_> = (0..MANY).map(|_| tokio::spawn(app.get("/v1/books").send())).collect();
    let begun = Instant::now();
    while count() < calls_before + MANY {
        assert!(begun.elapsed() < PATIENCE, "not all calls came in");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    replicas.iter().for_each(|replica| replica.release(PLENTY));
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test]
async fn all_slices_of_the_service_count_and_no_other() {
    let (one, other, stranger) = (Replica::start().await, Replica::start().await, Replica::start().await);
    let api = FakeApi::default();
    api.set_page_size(1);
    api.put_replica("books-a", &one);
    api.put_replica("books-b", &other);
    api.put("shelves-a", "shelves", stranger.address.port(), &ready());

    let (_serving, app) = start(&api).await;

    call_until(&app, "both get calls", || one.calls() > 0 && other.calls() > 0).await;
    assert_eq!(stranger.calls(), 0);
    assert_eq!(api.lists(), 2, "two pages");
}

#[tokio::test]
async fn without_endpoints_a_call_says_so_and_the_first_one_is_used_at_once() {
    let replica = Replica::start().await;
    let api = FakeApi::default();
    let (_serving, app) = start(&api).await;
    watched(&api).await;
    assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 503);
    assert_eq!(app.get("/health/ready").send().await.unwrap().status(), 503);

    api.put_replica("books-a", &replica);

    answered_with(&app, 200).await;
}

#[tokio::test]
async fn one_that_ends_or_is_deleted_gets_no_more_calls_and_none_is_lost() {
    let (one, other, third) = (Replica::start().await, Replica::start().await, Replica::start().await);
    let api = FakeApi::default();
    for (name, replica) in [("books-a", &one), ("books-b", &other), ("books-c", &third)] {
        api.put_replica(name, replica);
    }
    let (_serving, app) = start(&api).await;
    call_until(&app, "all get calls", || {
        [&one, &other, &third].iter().all(|one| one.calls() > 0)
    })
    .await;

    api.put("books-a", "books", one.address.port(), &ending());
    is_left(&app, &one, &[&other, &third]).await;
    api.delete("books-b");
    is_left(&app, &other, &[&third]).await;
}

#[tokio::test]
async fn a_cut_watch_goes_on_where_it_was_with_what_happened_meanwhile() {
    let (one, other) = (Replica::start().await, Replica::start().await);
    let api = FakeApi::default();
    api.put_replica("books-a", &one);
    let (_serving, app) = start(&api).await;
    answered_with(&app, 200).await;
    watched(&api).await;
    let version = api.version();

    api.cut();
    api.put_replica("books-b", &other);
    call_until(&app, "the new one gets calls", || other.calls() > 0).await;
    watched(&api).await;
    api.cut_inside_an_event();
    api.put("books-a", "books", one.address.port(), &ending());
    is_left(&app, &one, &[&other]).await;

    assert_eq!(api.lists(), 1);
    assert_eq!(api.watches()[..2], [version, version]);
}

#[tokio::test]
async fn a_bookmark_moves_the_version_on() {
    let replica = Replica::start().await;
    let api = FakeApi::default();
    api.put_replica("books-a", &replica);
    let (_serving, app) = start(&api).await;
    answered_with(&app, 200).await;
    watched(&api).await;

    let version = api.bookmark();
    // All older versions are forgotten: without the bookmark, there would have to be another list.
    api.compact();
    api.cut();
    watched(&api).await;

    assert_eq!(api.watches().last(), Some(&version));
    assert_eq!(api.lists(), 1);
}

#[tokio::test]
async fn a_version_that_is_gone_means_another_list_that_replaces_everything() {
    let (one, other) = (Replica::start().await, Replica::start().await);
    let api = FakeApi::default();
    api.put_replica("books-a", &one);
    let (_serving, app) = start(&api).await;
    answered_with(&app, 200).await;
    watched(&api).await;

    // By the status of a new watch, then by an event of a running one.
    api.cut();
    api.put_replica("books-b", &other);
    api.delete("books-a");
    api.compact();
    is_left(&app, &one, &[&other]).await;
    assert!(other.calls() > 0 && api.lists() == 2);
    watched(&api).await;
    api.expire();
    watched(&api).await;
    assert_eq!(api.lists(), 3);
    assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_version_at_which_the_watch_always_fails_is_left_by_another_list() {
    let (one, other) = (Replica::start().await, Replica::start().await);
    let api = FakeApi::default();
    api.put_replica("books-a", &one);
    let (_serving, app) = start(&api).await;
    answered_with(&app, 200).await;
    watched(&api).await;

    api.fail_after_now();
    api.put_replica("books-b", &other);

    call_until(&app, "the new one gets calls", || other.calls() > 0).await;
    assert_eq!(api.lists(), 2);
}

#[tokio::test]
async fn what_was_known_stays_while_the_api_is_away() {
    let (one, other) = (Replica::start().await, Replica::start().await);
    let api = FakeApi::default();
    api.put_replica("books-a", &one);
    let (serving, app) = start(&api).await;
    answered_with(&app, 200).await;
    let address = serving.address;

    drop(serving);
    api.cut();
    for _ in 0..20 {
        assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 200);
    }
    api.put_replica("books-b", &other);
    let _serving = api.serve(TcpListener::bind(address).await.unwrap()).await;

    call_until(&app, "the new one gets calls", || other.calls() > 0).await;
}

#[tokio::test]
async fn the_own_zone_comes_first_and_another_only_when_it_is_dead() {
    let (near, far) = (Replica::start().await, Replica::start().await);
    let api = FakeApi::default();
    for (replica, zone) in [(&near, "a"), (&far, "b")] {
        let endpoints = json!([{"addresses": ["127.0.0.1"], "conditions": {}, "zone": zone}]);
        api.put(&format!("books-{zone}"), "books", replica.address.port(), &endpoints);
    }
    let serving = serve(&api).await;
    let app = App::start_library_at(ADDRESS, finding(&serving, Some("a")), "").await;
    answered_with(&app, 200).await;

    for _ in 0..20 {
        assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 200);
    }
    assert_eq!((near.calls(), far.calls()), (21, 0));

    near.kill();
    answered_with(&app, 200).await;
    assert!(far.calls() > 0);
}

#[tokio::test]
async fn a_rule_of_the_settings_may_name_a_service_too() {
    let (usual, canary) = (Replica::start().await, Replica::start().await);
    let api = FakeApi::default();
    api.put("canary-a", "canary", canary.address.port(), &ready());
    let serving = serve(&api).await;
    let settings = "[[routing.rules]]\nname = 'canary'\npackage = 'library.v1'\nheader = 'x-canary'\n\
                    to = 'kubernetes://shop/canary:grpc'";
    let app = App::start_library_at(&usual.url(), finding(&serving, None), settings).await;
    watched(&api).await;

    let response = app.get("/v1/books").header("x-canary", "1").send().await.unwrap();

    assert_eq!(response.status(), 200);
    assert_eq!((usual.calls(), canary.calls()), (0, 1));
    app.parts.change_settings("".parse().unwrap()).unwrap();
    let begun = Instant::now();
    while api.is_watched() {
        assert!(begun.elapsed() < PATIENCE, "nobody needs it any more");
        // The watch sees that it is not needed when something is told.
        api.bookmark();
        app.get("/v1/books").header("x-canary", "1").send().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
