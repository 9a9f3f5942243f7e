//! Answers that are kept: for how long, and never for anyone else.

use std::sync::atomic::Ordering;
use std::time::Duration;

use devstack::shared;
use futures::future::join_all;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use service::testing::TestIssuer;
use uuid::Uuid;

use crate::app::{App, problem};

fn reads(app: &App) -> usize {
    app.seen.reads.load(Ordering::SeqCst)
}

/// Waits until the service was asked so often.
async fn wait_for_reads(app: &App, count: usize) {
    for _ in 0..2_000 {
        if reads(app) >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("asked {} times, not {count}", reads(app));
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

async fn get(app: &App, path: &str, token: &str) -> Response {
    app.get(path).bearer_auth(token).send().await.unwrap()
}

async fn cache_status(app: &App, path: &str, token: &str) -> String {
    header(&get(app, path, token).await, "cache-status").to_owned()
}

/// An edge that hears of events, without which nothing of a user's own is fresh.
async fn start() -> App {
    let app = App::start().await;
    app.follow_events(shared().await.nats_url()).await;
    app
}

#[tokio::test]
async fn a_second_read_costs_the_service_nothing() {
    let app = start().await;
    let token = app.issuer.access_token(Uuid::now_v7());

    let first = get(&app, "/v1/notes/7", &token).await;
    assert_eq!(header(&first, "cache-status"), "edge; fwd=miss; stored");
    assert_eq!(header(&first, "age"), "");
    let first: Value = first.json().await.unwrap();
    let second = get(&app, "/v1/notes/7", &token).await;
    let status = header(&second, "cache-status").to_owned();
    let time_to_live = status.strip_prefix("edge; hit; ttl=").unwrap();
    assert!((500..=600).contains(&time_to_live.parse::<u32>().unwrap()), "{status}");
    assert!(header(&second, "age").parse::<u32>().unwrap() < 100);
    assert_eq!(header(&second, "etag"), "\"v1\"");
    assert_eq!(header(&second, "cache-control"), "private, no-cache");
    assert_eq!(header(&second, "vary"), "authorization");
    let second: Value = second.json().await.unwrap();

    assert_eq!(first, second);
    assert_eq!(reads(&app), 1);
    assert_eq!(
        cache_status(&app, "/v1/notes/8", &token).await,
        "edge; fwd=miss; stored"
    );
}

#[tokio::test]
async fn a_condition_is_answered_out_of_what_is_kept() {
    let app = start().await;
    let token = app.issuer.access_token(Uuid::now_v7());
    get(&app, "/v1/notes/7", &token).await;

    let request = app.get("/v1/notes/7").bearer_auth(&token);
    let response = request.header("if-none-match", "\"v1\"").send().await.unwrap();

    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert!(header(&response, "cache-status").starts_with("edge; hit"));
    assert_eq!(header(&response, "etag"), "\"v1\"");
    assert_eq!(response.bytes().await.unwrap().len(), 0);
    assert_eq!(reads(&app), 1);
}

#[tokio::test]
async fn what_is_everyones_is_kept_once_for_all() {
    let app = App::start().await;

    let first = app.get("/v1/catalogs/7").send().await.unwrap();
    let token = app.issuer.access_token(Uuid::now_v7());
    let second = get(&app, "/v1/catalogs/7", &token).await;

    assert_eq!(header(&first, "cache-control"), "public, max-age=600");
    assert_eq!(header(&first, "vary"), "");
    assert!(header(&second, "cache-status").starts_with("edge; hit"));
    assert_eq!(reads(&app), 1);
}

#[tokio::test]
async fn nothing_of_one_user_is_ever_served_to_another() {
    let app = start().await;
    let users: Vec<Uuid> = (0..20).map(|_| Uuid::now_v7()).collect();
    let tokens: Vec<[String; 2]> = users
        .iter()
        .map(|user| [(); 2].map(|()| app.issuer.access_token(*user)))
        .collect();

    for _ in 0..3 {
        let asked = (0..200).map(|number| {
            let (app, tokens) = (&app, &tokens[number * 7 % 20]);
            async move {
                let response = get(app, "/v1/notes/7", &tokens[number % 2]).await;
                assert_eq!(response.status(), 200);
                let note: Value = response.json().await.unwrap();
                let asker = note["title"].as_str().unwrap().strip_prefix("Bearer ").unwrap();
                assert!(tokens.iter().any(|token| token == asker), "someone else's");
            }
        });
        join_all(asked).await;
    }

    assert_eq!(reads(&app), 20, "each user's was fetched once");
}

#[tokio::test]
async fn whoever_may_not_ask_is_not_told_what_is_kept() {
    let app = start().await;
    let (user, session) = (Uuid::now_v7(), Uuid::now_v7());
    let token = app.issuer.access_token_of(user, session);
    get(&app, "/v1/notes/7", &token).await;
    assert!(cache_status(&app, "/v1/notes/7", &token).await.starts_with("edge; hit"));

    let without_token = app.get("/v1/notes/7").send().await.unwrap();
    assert_eq!(without_token.status(), 401);
    let forged = TestIssuer::new().access_token(user);
    assert_eq!(get(&app, "/v1/notes/7", &forged).await.status(), 401);
    let key = service::testing::TEST_KEY_ID;
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": key}).to_string();
    let claims = json!({
        "iss": "bookmesh", "aud": "bookmesh", "sub": user, "sid": session, "iat": 1, "nbf": 1,
        "exp": 4_000_000_000_i64, "scope": "tags:read",
    });
    let without_scope = app.issuer.sign(&header, &claims.to_string());
    assert_eq!(get(&app, "/v1/notes/7", &without_scope).await.status(), 403);
    app.issuer.end_session(session);
    let revoked = get(&app, "/v1/notes/7", &token).await;
    assert_eq!(revoked.status(), 401);
    assert_eq!(problem(revoked).await["reason"], "SESSION_ENDED");

    assert_eq!(reads(&app), 1);
}

#[tokio::test]
async fn identical_reads_at_once_are_one_for_the_service() {
    let app = start().await;
    let (ada, grace) = (Uuid::now_v7(), Uuid::now_v7());
    let gate = app.seen.gate.write().await;

    let asked = (0..16).map(|number| {
        let user = if number % 2 == 0 { ada } else { grace };
        let request = app.get("/v1/notes/7").bearer_auth(app.issuer.access_token(user));
        tokio::spawn(request.send())
    });
    let asked: Vec<_> = asked.collect();
    app.wait_for_figure("edge_cache_answers_total{outcome=\"collapsed\"} 14")
        .await;
    drop(gate);
    let answers = join_all(asked).await;

    let collapsed = answers.iter().filter(|answer| {
        let response = answer.as_ref().unwrap().as_ref().unwrap();
        assert_eq!(response.status(), 200);
        header(response, "cache-status") == "edge; fwd=miss; collapsed"
    });
    assert_eq!(collapsed.count(), 14);
    assert_eq!(reads(&app), 2);
}

#[tokio::test]
async fn who_waits_for_a_caller_that_hangs_up_asks_for_itself() {
    let app = start().await;
    let token = app.issuer.access_token(Uuid::now_v7());
    let gate = app.seen.gate.write().await;

    let leader = tokio::spawn(app.get("/v1/notes/7").bearer_auth(&token).send());
    wait_for_reads(&app, 1).await;
    let follower = tokio::spawn(app.get("/v1/notes/7").bearer_auth(&token).send());
    app.wait_for_figure("edge_cache_answers_total{outcome=\"collapsed\"} 1")
        .await;
    leader.abort();
    wait_for_reads(&app, 2).await;
    drop(gate);

    let response = follower.await.unwrap().unwrap();
    assert_eq!(header(&response, "cache-status"), "edge; fwd=miss; stored");
}

#[tokio::test]
async fn when_a_caller_in_a_hurry_gives_up_one_of_those_who_wait_asks_for_all() {
    let app = start().await;
    let token = app.issuer.access_token(Uuid::now_v7());
    let gate = app.seen.gate.write().await;

    let request = app.get("/v1/notes/7").bearer_auth(&token);
    let hasty = tokio::spawn(request.header("request-timeout", "2").send());
    wait_for_reads(&app, 1).await;
    let patient: Vec<_> = (0..8)
        .map(|_| tokio::spawn(app.get("/v1/notes/7").bearer_auth(&token).send()))
        .collect();
    app.wait_for_figure("edge_cache_answers_total{outcome=\"collapsed\"} 8")
        .await;
    assert_eq!(hasty.await.unwrap().unwrap().status(), 504);
    // All but the one that asks now have joined again.
    app.wait_for_figure("edge_cache_answers_total{outcome=\"collapsed\"} 15")
        .await;
    drop(gate);

    for response in join_all(patient).await {
        assert_eq!(response.unwrap().unwrap().status(), 200);
    }
    assert_eq!(reads(&app), 2);
}

#[tokio::test]
async fn an_error_is_not_kept_and_is_each_callers_own() {
    let app = start().await;
    let token = app.issuer.access_token(Uuid::now_v7());

    for _ in 0..2 {
        assert_eq!(get(&app, "/v1/notes/unknown", &token).await.status(), 404);
    }

    assert_eq!(reads(&app), 2);
}

#[tokio::test]
async fn a_users_own_write_is_seen_by_the_next_read() {
    let app = start().await;
    let (ada, grace) = [Uuid::now_v7(), Uuid::now_v7()]
        .map(|user| app.issuer.access_token(user))
        .into();
    for token in [&ada, &grace] {
        get(&app, "/v1/notes/7", token).await;
        assert!(cache_status(&app, "/v1/notes/7", token).await.starts_with("edge; hit"));
    }

    let write = app
        .request("POST", "/v1/books")
        .bearer_auth(&ada)
        .json(&json!({"title": "T"}));
    assert_eq!(write.send().await.unwrap().status(), 201);

    assert_eq!(cache_status(&app, "/v1/notes/7", &ada).await, "edge; fwd=stale; stored");
    assert!(cache_status(&app, "/v1/notes/7", &grace).await.starts_with("edge; hit"));
}

#[tokio::test]
async fn what_was_read_before_a_write_is_not_kept_after_it() {
    let app = start().await;
    let token = app.issuer.access_token(Uuid::now_v7());
    let gate = app.seen.gate.write().await;

    let early = tokio::spawn(app.get("/v1/notes/7").bearer_auth(&token).send());
    wait_for_reads(&app, 1).await;
    let write = app
        .request("POST", "/v1/books")
        .bearer_auth(&token)
        .json(&json!({"title": "T"}));
    assert_eq!(write.send().await.unwrap().status(), 201);
    let late = tokio::spawn(app.get("/v1/notes/7").bearer_auth(&token).send());
    wait_for_reads(&app, 2).await;
    drop(gate);

    let early = early.await.unwrap().unwrap();
    assert_eq!(header(&early, "cache-status"), "edge; fwd=miss");
    let late = late.await.unwrap().unwrap();
    assert_eq!(header(&late, "cache-status"), "edge; fwd=miss; stored");
    let kept: Value = get(&app, "/v1/notes/7", &token).await.json().await.unwrap();
    assert_eq!(kept["pageCount"], "1", "the second answer is the one that is kept");
}

#[tokio::test]
async fn a_caller_may_ask_for_the_newest_and_for_nothing_to_be_kept() {
    let app = App::start().await;
    let status = async |directive: &str| {
        let request = app.get("/v1/catalogs/7").header("cache-control", directive);
        header(&request.send().await.unwrap(), "cache-status").to_owned()
    };

    assert_eq!(status("no-store").await, "edge; fwd=bypass");
    assert_eq!(status("no-cache").await, "edge; fwd=request; stored");
    assert!(status("max-age=60").await.starts_with("edge; hit"));
    assert_eq!(status("no-cache").await, "edge; fwd=request; stored");
    assert_eq!(reads(&app), 3);
}

#[tokio::test]
async fn an_old_answer_is_served_while_a_new_one_is_fetched() {
    let app = App::start().await;
    let news = async || app.get("/v1/news/7").send().await.unwrap();
    assert_eq!(header(&news().await, "cache-status"), "edge; fwd=miss; stored");

    let gate = app.seen.gate.write().await;
    let old = news().await;
    assert_eq!(header(&old, "cache-status"), "edge; hit; ttl=-1");
    let old: Value = old.json().await.unwrap();
    wait_for_reads(&app, 2).await;
    drop(gate);

    assert_eq!(old["pageCount"], "0");
    for _ in 0..2_000 {
        let next: Value = news().await.json().await.unwrap();
        if next["pageCount"] != "0" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the new answer does not come");
}

#[tokio::test]
async fn a_kept_answer_is_better_than_a_failure_and_says_that_it_is_old() {
    let mut app = start().await;
    let token = app.issuer.access_token(Uuid::now_v7());
    get(&app, "/v1/notes/7", &token).await;
    app.end_service().await;

    let reload = app
        .get("/v1/notes/7")
        .bearer_auth(&token)
        .header("cache-control", "no-cache");
    let stale = reload.send().await.unwrap();
    let never_read = get(&app, "/v1/notes/8", &token).await;
    let not_to_be_stale = app.get("/v1/catalogs/7").send().await.unwrap();

    assert_eq!(stale.status(), 200);
    assert_eq!(header(&stale, "cache-status"), "edge; hit; ttl=-1");
    assert!(!header(&stale, "age").is_empty());
    let stale: Value = stale.json().await.unwrap();
    assert_eq!(stale["pageCount"], "0");
    for failed in [never_read, not_to_be_stale] {
        assert_eq!(failed.status(), 503);
        assert_eq!(header(&failed, "retry-after"), "1");
        assert_eq!(problem(failed).await["reason"], "UPSTREAM_UNAVAILABLE");
    }
}

#[tokio::test]
async fn what_is_known_to_have_changed_is_not_served_even_when_the_service_fails() {
    let mut app = start().await;
    let token = app.issuer.access_token(Uuid::now_v7());
    get(&app, "/v1/notes/7", &token).await;
    let write = app
        .request("POST", "/v1/books")
        .bearer_auth(&token)
        .json(&json!({"title": "T"}));
    assert_eq!(write.send().await.unwrap().status(), 201);
    app.end_service().await;

    assert_eq!(get(&app, "/v1/notes/7", &token).await.status(), 503);
}
