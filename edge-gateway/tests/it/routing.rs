//! Calls that go elsewhere by header, share and prefix, and calls that go to two places.

use std::time::{Duration, Instant};

use edge_gateway::Finding;
use serde_json::json;
use tokio::net::TcpListener;
use tonic::Code;
use uuid::Uuid;

use crate::app::App;
use crate::replica::Replica;

const PATIENCE: Duration = Duration::from_secs(20);

/// The settings name the second service as `OTHER`.
async fn two(settings: &str) -> (Replica, Replica, App) {
    let (usual, other) = (Replica::start().await, Replica::start().await);
    let settings = settings.replace("OTHER", &other.url());
    let app = App::start_library_at(&usual.url(), Finding::default(), &settings).await;
    (usual, other, app)
}

fn rule(more: &str) -> String {
    format!("[[routing.rules]]\nname = 'canary'\npackage = 'library.v1'\nto = 'OTHER'\n{more}\n")
}

fn mirror(more: &str) -> String {
    format!("[[routing.mirrors]]\nname = 'next'\npackage = 'library.v1'\nto = 'OTHER'\n{more}\n")
}

/// Mirrored calls with one outcome.
fn mirrored(app: &App, outcome: &str) -> u64 {
    let text = app.metrics.encode();
    let line = text.lines().find(|line| {
        line.starts_with("edge_mirrored_calls_total{") && line.contains(&format!("outcome=\"{outcome}\""))
    });
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_value_of_a_header_sends_a_call_elsewhere() {
    let (usual, other, app) = two(&rule("header = 'x-canary'\nvalue = 'always'")).await;

    for (value, place) in [(Some("always"), &other), (Some("never"), &usual), (None, &usual)] {
        let calls_before = place.calls();
        let mut request = app.get("/v1/books");
        if let Some(value) = value {
            request = request.header("x-canary", value);
        }
        assert_eq!(request.send().await.unwrap().status(), 200);
        assert_eq!(place.calls(), calls_before + 1, "{value:?}");
    }
}

#[tokio::test]
async fn a_stream_follows_the_rules_too() {
    let (usual, other, app) = two(&rule("header = 'x-canary'")).await;

    let request = app.get("/v1/books/7:watch").header("x-canary", "");
    let text = request.send().await.unwrap().text().await.unwrap();

    assert!(text.contains("\"pageCount\":\"3\""), "{text}");
    assert_eq!((usual.calls(), other.calls()), (0, 1));
}

#[tokio::test]
async fn a_share_takes_some_users_and_always_the_same_ones() {
    let (usual, other, app) = two(&rule("share = 50")).await;

    let mut places = Vec::new();
    for _ in 0..40 {
        let user = Uuid::now_v7();
        let before = (usual.calls(), other.calls());
        for _ in 0..3 {
            // Each time another token, as after a refresh.
            let token = app.issuer.access_token(user);
            let response = app.get("/v1/books/7").bearer_auth(token).send().await.unwrap();
            assert_eq!(response.status(), 200);
        }
        let calls = (usual.calls() - before.0, other.calls() - before.1);
        assert!(matches!(calls, (3, 0) | (0, 3)), "{calls:?}");
        places.push(calls.1 > 0);
    }

    let elsewhere = places.iter().filter(|elsewhere| **elsewhere).count();
    assert!((5..=35).contains(&elsewhere), "{elsewhere} of 40");
}

#[tokio::test]
async fn a_mirror_gets_what_has_no_side_effects_and_its_answers_are_only_compared() {
    let (usual, other, app) = two(&mirror("")).await;

    assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 200);
    until("the statuses are the same", || mirrored(&app, "match") == 1).await;
    other.refuse_with(Code::Internal);
    assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 200);
    until("the statuses differ", || mirrored(&app, "mismatch") == 1).await;
    let update = app.request("PATCH", "/v1/books/7").json(&json!({"title": "Emma"}));
    assert_eq!(update.send().await.unwrap().status(), 200);

    assert_eq!(usual.calls(), 3);
    assert_eq!(other.calls(), 2);
}

#[tokio::test]
async fn a_mirror_that_hangs_holds_nobody_and_uses_no_more_than_its_budget() {
    let (usual, other, app) = two(&mirror("concurrency = 2")).await;
    other.hold();

    for _ in 0..6 {
        assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 200);
    }

    until("the mirror was called", || other.calls() == 2).await;
    assert_eq!(mirrored(&app, "over_budget"), 4);
    assert_eq!(usual.calls(), 6);
}

#[tokio::test]
async fn a_mirror_that_is_not_there_is_a_mismatch() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let usual = Replica::start().await;
    let settings = mirror("").replace("OTHER", &format!("http://{unused}"));
    let app = App::start_library_at(&usual.url(), Finding::default(), &settings).await;

    assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 200);

    until("it was counted", || mirrored(&app, "mismatch") == 1).await;
}

#[tokio::test]
async fn a_prefix_is_mounted_elsewhere() {
    let mounts = "[[routing.mounts]]\nprefix = '/eu'\nstrip = true\nto = 'OTHER'\n\
                  [[routing.mounts]]\nprefix = '/v1/reports'\nto = 'OTHER'\n";
    let (usual, other, app) = two(mounts).await;

    let created = app.user_request("POST", "/eu/v1/books").json(&json!({"title": "Emma"}));
    let created = created.send().await.unwrap();
    assert_eq!(created.status(), 201);
    assert_eq!(created.headers()["location"], "/eu/v1/books/id%201");
    assert_eq!(app.get("/v1/reports/7").send().await.unwrap().status(), 200);
    assert_eq!((usual.calls(), other.calls()), (0, 2));

    assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 200);
    assert_eq!(app.get("/europe/v1/books").send().await.unwrap().status(), 404);
    assert_eq!((usual.calls(), other.calls()), (1, 2));
}

#[tokio::test]
async fn other_settings_lose_no_request_and_wrong_ones_change_nothing() {
    let (usual, other, app) = two("").await;
    let settings = rule("").replace("OTHER", &other.url());
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let call = app.get("/v1/books");
            tokio::spawn(async move {
                let mut statuses = Vec::new();
                for _ in 0..50 {
                    statuses.push(call.try_clone().unwrap().send().await.unwrap().status().as_u16());
                }
                statuses
            })
        })
        .collect();

    while !callers.iter().all(tokio::task::JoinHandle::is_finished) {
        for settings in [settings.as_str(), ""] {
            app.parts.change_settings(settings.parse().unwrap()).unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    for caller in callers {
        assert_eq!(caller.await.unwrap(), [200; 50]);
    }
    assert!(usual.calls() > 0 && other.calls() > 0);

    app.parts.change_settings(settings.parse().unwrap()).unwrap();
    let wrong = format!("{settings}[[routing.mounts]]\nprefix = 'eu'\nto = 'http://127.0.0.1:1'");
    let error = app.parts.change_settings(wrong.parse().unwrap()).unwrap_err();
    assert!(format!("{error:#}").contains("mounts \"eu\""), "{error:#}");
    let calls_before = other.calls();
    assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 200);
    assert_eq!(other.calls(), calls_before + 1);
}
