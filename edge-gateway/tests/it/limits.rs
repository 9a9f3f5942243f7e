//! How often callers may call: alone, together, by way of several edges, with Redis and without.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use devstack::{Devstack, Ports};
use edge_gateway::Settings;
use reqwest::Response;
use uuid::Uuid;

use crate::app::{App, problem};

/// For what a test waits for; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(30);

async fn start(settings: &str) -> App {
    App::start_configured(settings.parse().unwrap(), None).await
}

/// An edge whose worker has found Redis.
async fn start_linked(settings: &str, redis_url: &str) -> App {
    let settings: Settings = settings.parse().unwrap();
    let app = App::start_configured(settings, Some(redis_url)).await;
    wait_for(&app, 1).await;
    app
}

async fn wait_for(app: &App, linked_workers: u64) {
    let begun = Instant::now();
    while app.metric("edge_limit_linked_workers ") != linked_workers {
        assert!(begun.elapsed() < PATIENCE, "{linked_workers} linked workers");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn read(app: &App, user: Uuid) -> Response {
    let token = app.issuer.access_token(user);
    app.get("/v1/books/7").bearer_auth(token).send().await.unwrap()
}

async fn status(app: &App, user: Uuid) -> u16 {
    read(app, user).await.status().as_u16()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers()[name].to_str().unwrap()
}

fn limit_of(response: &Response) -> (u32, u64) {
    let value = header(response, "ratelimit");
    let numbers = value.split_once(";r=").unwrap().1;
    let (remaining, seconds) = numbers.split_once(";t=").unwrap();
    (remaining.parse().unwrap(), seconds.parse().unwrap())
}

#[tokio::test]
async fn answers_say_where_the_caller_stands_and_the_last_one_when_to_come_again() {
    let app = start("[limits.user.read]\nquota = 30\nseconds = 3600\nburst = 3").await;
    let user = Uuid::now_v7();

    for remaining in [2, 1, 0] {
        let response = read(&app, user).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "ratelimit-policy"), "\"user-read\";q=30;w=3600");
        assert!(header(&response, "ratelimit").starts_with("\"user-read\";r="));
        let (told, seconds) = limit_of(&response);
        assert_eq!(told, remaining);
        let full_in = 120 * u64::from(3 - remaining);
        assert!((full_in - 60..=full_in).contains(&seconds), "{seconds}");
    }

    let refused = read(&app, user).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(limit_of(&refused).0, 0);
    let retry_after: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!((60..=120).contains(&retry_after), "{retry_after}");
    let problem = problem(refused).await;
    assert_eq!(problem["code"], "RESOURCE_EXHAUSTED");
    assert_eq!(problem["reason"], "RATE_LIMITED");
    assert_eq!(problem["metadata"]["limit"], "user-read");
    assert_eq!(status(&app, Uuid::now_v7()).await, 200, "others are not concerned");
}

#[tokio::test]
async fn checklist_api4_a_call_costs_what_the_contract_says_and_each_class_has_its_own_limit() {
    let app = start("[limits.address]\nwrite = {quota = 1, seconds = 3600, burst = 10}").await;
    let report = async || {
        let body = serde_json::json!({"id": "r1"});
        app.request("POST", "/v1/reports").json(&body).send().await.unwrap()
    };

    assert_eq!(limit_of(&report().await).0, 6);
    assert_eq!(limit_of(&report().await).0, 2);
    assert_eq!(report().await.status(), 429);
    assert_eq!(
        app.get("/v1/books").send().await.unwrap().status(),
        200,
        "another class"
    );
}

#[tokio::test]
async fn checklist_api6_anonymous_callers_are_told_apart_by_address_and_by_network_of_ipv6() {
    let settings = "[client]\ntrusted_hops = 1\n[limits.address.read]\nquota = 1\nseconds = 3600\nburst = 1";
    let app = start(settings).await;
    let status = async |address: &str| {
        let request = app.get("/v1/books").header("x-forwarded-for", address);
        request.send().await.unwrap().status().as_u16()
    };

    assert_eq!(status("192.0.2.1").await, 200);
    assert_eq!(status("192.0.2.1").await, 429);
    assert_eq!(status("192.0.2.2").await, 200);
    assert_eq!(status("2001:db8:0:1::1").await, 200);
    assert_eq!(status("2001:db8:0:1::2").await, 429);
    assert_eq!(status("2001:db8:0:2::1").await, 200);
}

#[tokio::test]
async fn a_flood_is_stopped_before_tokens_are_looked_at_and_health_is_not_concerned() {
    let app = start("[limits.flood]\nquota = 1\nseconds = 3600\nburst = 3").await;
    let send = async || app.get("/v1/books/7").bearer_auth("nonsense").send().await.unwrap();

    for _ in 0..3 {
        assert_eq!(send().await.status(), 401);
    }
    let refused = send().await;
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "ratelimit-policy"), "\"flood\";q=1;w=3600");
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(status(&app, Uuid::now_v7()).await, 429);
    assert_eq!(app.get("/no/such/path").send().await.unwrap().status(), 429);
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(app.get(path).send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn who_guesses_tokens_is_limited_by_address() {
    let app = start("[limits.address.read]\nquota = 1\nseconds = 3600\nburst = 2").await;
    let guess = async || {
        let response = app.get("/v1/books/7").bearer_auth("nonsense").send().await.unwrap();
        (response.status().as_u16(), limit_of(&response).0)
    };

    assert_eq!(guess().await, (401, 1));
    assert_eq!(guess().await, (401, 0));
    assert_eq!(guess().await, (429, 0));
    assert_eq!(status(&app, Uuid::now_v7()).await, 200, "a good token is a user's");
}

#[tokio::test]
async fn several_edges_share_a_limit() {
    let redis_url = devstack::shared().await.redis_url();
    let settings = "[limits]\nreplicas = 2\nuser.read = {quota = 1, seconds = 3600, burst = 6}";
    let edges = [
        start_linked(settings, &redis_url).await,
        start_linked(settings, &redis_url).await,
    ];
    let user = Uuid::now_v7();

    let mut statuses = Vec::new();
    for number in 0..8 {
        statuses.push(status(&edges[number % 2], user).await);
    }

    let alone = edges[0].metric("edge_limit_alone_total ") + edges[1].metric("edge_limit_alone_total ");
    if alone == 0 {
        assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 429, 429]);
    }
    let passed = statuses.iter().filter(|status| **status == 200).count() as u64;
    assert!((6..=6 + alone).contains(&passed), "{statuses:?}, {alone} alone");
}

/// The bound of ADR 9 on real edges: what many callers get through two of them at once.
#[tokio::test(flavor = "multi_thread")]
async fn leases_let_no_more_pass_than_their_bound() {
    const BURST: u64 = 400;
    const MOST_LEASED: u64 = 20;
    let redis_url = devstack::shared().await.redis_url();
    let settings = format!("[limits]\nreplicas = 2\nuser.read = {{quota = 60, seconds = 60, burst = {BURST}}}");
    let user = Uuid::now_v7();
    let passed = Arc::new(AtomicUsize::new(0));
    let edges = [
        Arc::new(start_linked(&settings, &redis_url).await),
        Arc::new(start_linked(&settings, &redis_url).await),
    ];

    let begun = Instant::now();
    let mut callers = Vec::new();
    for number in 0..16 {
        let (edge, passed) = (Arc::clone(&edges[number % 2]), Arc::clone(&passed));
        callers.push(tokio::spawn(async move {
            for _ in 0..40 {
                if status(&edge, user).await == 200 {
                    passed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }

    let passed = passed.load(Ordering::Relaxed) as u64;
    let sum = |metric| edges.iter().map(|edge| edge.metric(metric)).sum::<u64>();
    let came_meanwhile = begun.elapsed().as_secs() + 1;
    let alone = sum("edge_limit_alone_total ");
    assert!(passed <= BURST + came_meanwhile + alone, "{passed}, {alone} alone");
    assert!(passed >= BURST - 2 * MOST_LEASED, "{passed}");
    let asked = sum("edge_limit_round_trips_total ");
    assert!(
        asked < passed,
        "{asked} round trips for {passed} answers and the refusals"
    );
}

#[tokio::test]
async fn a_busy_caller_costs_one_round_trip_in_many_calls() {
    let redis_url = devstack::shared().await.redis_url();
    let app = start_linked("[limits.user]\nread = {burst = 5000}", &redis_url).await;
    let user = Uuid::now_v7();

    for _ in 0..400 {
        assert_eq!(status(&app, user).await, 200);
    }

    let asked = app.metric("edge_limit_round_trips_total ");
    assert!((1..100).contains(&asked), "{asked}");
}

#[tokio::test]
async fn a_refused_caller_does_not_reach_redis_until_it_may_come_back() {
    let redis_url = devstack::shared().await.redis_url();
    let app = start_linked(
        "[limits.user]\nread = {quota = 1, seconds = 3600, burst = 2}",
        &redis_url,
    )
    .await;
    let user = Uuid::now_v7();
    while status(&app, user).await == 200 {}
    let asked = app.metric("edge_limit_round_trips_total ");

    for _ in 0..200 {
        assert_eq!(status(&app, user).await, 429);
    }

    assert!(app.metric("edge_limit_round_trips_total ") <= asked + 1);
}

#[tokio::test]
async fn without_redis_each_replica_gives_its_share_and_shares_again_when_redis_is_back() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let settings = "[limits]\nreplicas = 3\nuser.read = {quota = 1, seconds = 3600, burst = 12}";
    let app = start_linked(settings, &stack.redis_url()).await;
    assert_eq!(app.metric("edge_limit_alone_total "), 0);

    stack.kill_redis().unwrap();
    let user = Uuid::now_v7();
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(status(&app, user).await);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429, 429, 429]);
    assert_eq!(app.metric("edge_limit_alone_total "), 8);
    wait_for(&app, 0).await;

    stack.start_redis().unwrap();
    wait_for(&app, 1).await;
    let user = Uuid::now_v7();
    let mut passed = 0;
    while status(&app, user).await == 200 {
        passed += 1;
    }
    let alone = app.metric("edge_limit_alone_total ") - 8;
    assert!((12..=12 + alone).contains(&passed), "{passed}, {alone} alone");
}

#[tokio::test]
async fn a_redis_that_hangs_is_not_waited_for() {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let settings = "[limits]\nreplicas = 2\nuser.read = {quota = 1, seconds = 600, burst = 40}";
    let app = start_linked(settings, &stack.redis_url()).await;
    let client = redis::Client::open(stack.redis_url()).unwrap();
    let mut operator = client.get_multiplexed_async_connection().await.unwrap();
    let pause = redis::cmd("CLIENT").arg("PAUSE").arg(600_000).take();
    pause.exec_async(&mut operator).await.unwrap();
    let user = Uuid::now_v7();

    let statuses = async {
        let mut statuses = Vec::new();
        for _ in 0..30 {
            statuses.push(status(&app, user).await);
        }
        statuses
    };
    let statuses = tokio::time::timeout(PATIENCE, statuses).await.unwrap();

    assert_eq!(statuses[..20], [200; 20]);
    assert_eq!(statuses[20..], [429; 10]);
    // The first of them have waited in vain, the others have not even asked.
    wait_for(&app, 0).await;
    assert!(app.metric("edge_limit_round_trips_total ") <= 3);
}
