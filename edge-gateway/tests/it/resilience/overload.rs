//! More than can be done.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use reqwest::{RequestBuilder, Response};
use serde_json::json;
use uuid::Uuid;

use super::{get, metric, reason, until};
use crate::app::App;
use crate::unsteady::{Step, Unsteady, start};

/// Ten calls at once, of which reads may have nine.
const TEN_CALLS: &str = "[overload]\ninitial_calls = 10\nminimum_calls = 10\nmaximum_calls = 10\n";

async fn log_in(app: &App) -> Response {
    app.request("POST", "/v1/sessions")
        .json(&json!({}))
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn three_times_too_much_is_refused_at_once_and_the_rest_is_answered() {
    let service = Unsteady::gated();
    let app = start(&service, TEN_CALLS).await;
    let mut requests: FuturesUnordered<_> = (0..30).map(|_| get(&app, "/v1/read")).collect();

    // The service has not answered anything yet.
    for _ in 0..21 {
        let refused = requests.next().await.unwrap();
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.headers()["retry-after"], "1");
        assert_eq!(reason(refused).await, "OVERLOADED");
    }
    until("nine calls", async || service.calls() == 9).await;
    service.gate.add_permits(9);

    while let Some(admitted) = requests.next().await {
        assert_eq!(admitted.status(), 200);
    }
    assert_eq!(service.calls(), 9);
}

#[tokio::test]
async fn what_matters_most_is_refused_last() {
    let service = Unsteady::gated();
    let app = start(&service, TEN_CALLS).await;
    let reads = join_all((0..9).map(|_| get(&app, "/v1/read")));
    let check = async {
        until("nine calls", async || service.calls() == 9).await;
        for path in ["/v1/read", "/v1/search"] {
            assert_eq!(get(&app, path).await.status(), 503, "{path}");
        }
        let upload = app.request("POST", "/v1/files").body("file").send().await.unwrap();
        assert_eq!(reason(upload).await, "OVERLOADED");
        assert_eq!(get(&app, "/health/ready").await.status(), 200);
        let open = async {
            until("ten calls", async || service.calls() == 10).await;
            service.gate.add_permits(10);
        };
        let (login, ()) = futures::join!(log_in(&app), open);
        assert_eq!(login.status(), 200);
    };

    let (reads, ()) = futures::join!(reads, check);

    assert!(reads.iter().all(|read| read.status() == 200));
}

#[tokio::test]
async fn uploads_are_refused_first() {
    let service = Unsteady::gated();
    let app = start(&service, TEN_CALLS).await;
    let reads = join_all((0..5).map(|_| get(&app, "/v1/read")));
    let check = async {
        until("five calls", async || service.calls() == 5).await;
        let upload = app.request("POST", "/v1/files").body("file").send().await.unwrap();
        assert_eq!(reason(upload).await, "OVERLOADED");
        service.gate.add_permits(6);
        assert_eq!(get(&app, "/v1/search").await.status(), 200);
    };

    futures::join!(reads, check);
}

/// Two of five places for uploads are as many as one caller may have.
async fn check_share(requests: impl Fn(&App, bool) -> RequestBuilder) {
    let service = Unsteady::gated();
    let settings = format!("{TEN_CALLS}upload_caller_percent = 40\n[client]\ntrusted_hops = 1\n");
    let app = start(&service, &settings).await;
    let upload = async |is_other| requests(&app, is_other).body("file").send().await.unwrap();
    let first = join_all([upload(false), upload(false)]);
    let check = async {
        until("two uploads", async || service.calls() == 2).await;

        let refused = upload(false).await;

        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["retry-after"], "5");
        assert_eq!(reason(refused).await, "TOO_MANY_UPLOADS");
        let open = async {
            until("three uploads", async || service.calls() == 3).await;
            service.gate.add_permits(3);
        };
        let (other, ()) = futures::join!(upload(true), open);
        assert_eq!(other.status(), 200, "the places of others are theirs");
    };

    let (first, ()) = futures::join!(first, check);

    assert!(first.iter().all(|upload| upload.status() == 200));
    service.gate.add_permits(1);
    assert_eq!(upload(false).await.status(), 200, "places come back");
}

#[tokio::test]
async fn one_user_has_a_share_of_the_places_for_uploads() {
    let users = [Uuid::now_v7(), Uuid::now_v7()];

    check_share(|app, is_other| {
        let token = app.issuer.access_token(users[usize::from(is_other)]);
        app.request("POST", "/v1/own-files").bearer_auth(token)
    })
    .await;
}

#[tokio::test]
async fn one_address_has_a_share_of_the_places_for_uploads() {
    check_share(|app, is_other| {
        let address = if is_other { "192.0.2.2" } else { "192.0.2.1" };
        app.request("POST", "/v1/files").header("x-forwarded-for", address)
    })
    .await;
}

#[tokio::test]
async fn the_edge_itself_works_on_so_many_requests_only() {
    let service = Unsteady::gated();
    let app = start(&service, "[overload]\nmaximum_requests = 10\n").await;
    let reads = join_all((0..9).map(|_| get(&app, "/v1/read")));
    let check = async {
        until("nine calls", async || service.calls() == 9).await;
        assert_eq!(reason(get(&app, "/v1/read").await).await, "OVERLOADED");
        service.gate.add_permits(10);
        assert_eq!(log_in(&app).await.status(), 200);
    };

    futures::join!(reads, check);

    service.gate.add_permits(1);
    assert_eq!(get(&app, "/v1/read").await.status(), 200, "places come back");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_its_place_to_others() {
    let service = Unsteady::gated();
    let app = start(
        &service,
        "[overload]\ninitial_calls = 1\nminimum_calls = 1\nmaximum_calls = 1\n",
    )
    .await;
    let gone = tokio::time::timeout(Duration::from_millis(100), get(&app, "/v1/read")).await;
    assert!(gone.is_err());
    service.gate.add_permits(1_000);

    until("room", async || get(&app, "/v1/read").await.status() == 200).await;

    assert_eq!(metric(&app, "edge_upstream_calls{upstream=\"unsteady.v1\"}"), 0.0);
}

#[tokio::test]
async fn a_service_that_becomes_slow_gets_fewer_calls_at_once() {
    let service = Arc::new(Unsteady::default());
    let settings = "[overload]\ninitial_calls = 32\nminimum_calls = 4\nmaximum_calls = 64\ncalm_ms = 30\n";
    let app = start(&service, settings).await;
    let limit = || metric(&app, "edge_upstream_limit{upstream=\"unsteady.v1\"}");
    service.next((0..30).map(|_| Step::Late(Duration::from_millis(20))));
    for _ in 0..30 {
        assert_eq!(get(&app, "/v1/read").await.status(), 200);
    }
    assert_eq!(limit(), 32.0);

    until("a smaller limit", async || {
        service.next((0..40).map(|_| Step::Late(Duration::from_millis(200))));
        join_all((0..40).map(|_| get(&app, "/v1/read"))).await;
        limit() < 32.0
    })
    .await;
}
