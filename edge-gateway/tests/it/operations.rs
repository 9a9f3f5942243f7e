//! What operators see of a running edge.

use serde_json::{Value, json};

use crate::app::App;
use crate::process::Process;

const RECORDED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOT_RECORDED: &str = "00-7bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

#[tokio::test]
async fn latencies_are_by_route_and_show_a_trace_that_somebody_records() {
    let app = App::start().await;
    for (path, traceparent) in [("/v1/books/7", RECORDED), ("/v1/books/8", NOT_RECORDED)] {
        let request = app.user_request("GET", path).header("traceparent", traceparent);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    assert_eq!(app.get("/nothing/here").send().await.unwrap().status(), 404);

    let text = app.metrics.encode();

    let labels = r#"method="GET",route="/v1/books/{id}""#;
    let lines = |start: &str| text.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
    assert_eq!(
        lines("edge_request_seconds_count"),
        [format!("edge_request_seconds_count{{{labels}}} 2")]
    );
    let buckets = lines("edge_request_seconds_bucket");
    assert!(buckets.iter().all(|line| line.contains(labels)), "{buckets:?}");
    let exemplars: Vec<&&str> = buckets.iter().filter(|line| line.contains(" # {")).collect();
    assert_eq!(exemplars.len(), 1, "{buckets:?}");
    assert!(exemplars[0].contains(r#" # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} "#));
    let mut requests = lines("edge_requests_total");
    requests.sort_unstable();
    assert_eq!(
        requests,
        [
            format!(r#"edge_requests_total{{{labels},status="200"}} 2"#),
            r#"edge_requests_total{method="GET",route="none",status="404"} 1"#.to_owned(),
        ]
    );
    assert!(!text.contains("/nothing/here") && !text.contains("/v1/books/7"));
}

#[tokio::test]
async fn the_public_port_has_no_page_for_operators() {
    let app = App::start().await;

    for path in ["/admin", "/admin/routes", "/admin/settings", "/metrics"] {
        let answer = app.get(path).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["reason"], json!("NO_SUCH_PATH"));
    }
}

#[tokio::test]
async fn an_edge_starts_serves_and_shows_itself_while_all_that_it_stands_on_is_away() {
    let settings = "[[routing.rules]]\nname = 'canary'\npackage = 'bookmesh.auth.v1'\nheader = 'x-canary'\n\
        value = 'hunter3'\nto = 'http://127.0.0.1:1'";
    let away = [
        ("BOOKMESH_REDIS_URL", "redis://:hunter2@127.0.0.1:1"),
        ("BOOKMESH_NATS_URL", "nats://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
    ];
    let process = Process::start(settings, &away).await;
    let get = async |url: &str, path: &str| reqwest::get(format!("{url}{path}")).await.unwrap();

    assert_eq!(get(&process.url, "/health/live").await.status(), 200);
    assert_eq!(get(&process.url, "/health/ready").await.status(), 503);
    assert_eq!(get(&process.url, "/openapi.json").await.status(), 200);
    let answer = get(&process.url, "/.well-known/jwks.json").await;
    assert!(answer.headers().contains_key("ratelimit"));
    let refused: Value = answer.json().await.unwrap();
    assert_eq!(refused["reason"], "UPSTREAM_UNAVAILABLE");
    assert_warned(&process, &refused).await;
    assert_pages(&process).await;
    assert!(process.stop().await.success());
}

/// A warning inside a request names the upstream and the request's trace.
async fn assert_warned(process: &Process, refused: &Value) {
    let request_id = refused["requestId"].as_str().unwrap();
    let line = process.wait_for("upstream connection failed", request_id).await;
    assert_eq!(line["upstream"], "bookmesh.auth.v1");
    assert_eq!(line["rpc"], "/bookmesh.auth.v1.AuthService/GetJwks");
    assert_eq!(line["trace_id"], refused["traceId"]);

    let access = process.wait_for("request", request_id).await;
    assert_eq!(access["trace_id"], refused["traceId"]);
    assert_eq!(access["http.route"], "/.well-known/jwks.json");
    assert_eq!(access["client.address"], "127.0.0.1");
    assert!(
        access["attempts"].as_u64() >= Some(1) && access["response_bytes"].as_u64() > Some(0),
        "{access}"
    );
    let spent = access["edge_ms"].as_f64().unwrap() + access["upstream_ms"].as_f64().unwrap();
    assert!(
        (spent - access["duration_ms"].as_f64().unwrap()).abs() < 0.01,
        "{access}"
    );
}

/// A page for operators; none shows the passwords that the process was started with.
async fn page(process: &Process, path: &str) -> Value {
    let answer = reqwest::get(format!("{}{path}", process.admin_url)).await.unwrap();
    let text = answer.text().await.unwrap();
    assert!(!text.contains("hunter"), "{path} shows a secret: {text}");
    serde_json::from_str(&text).unwrap()
}

async fn assert_pages(process: &Process) {
    let index = page(process, "/admin").await;
    let paths: Vec<&str> = index
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|page| page["path"].as_str())
        .collect();
    let names = ["routes", "policies", "upstreams", "breakers", "limits", "settings"];
    assert_eq!(paths, names.map(|name| format!("/admin/{name}")));

    let routes = page(process, "/admin/routes").await;
    let keys = routes
        .as_array()
        .unwrap()
        .iter()
        .find(|route| route["path"] == "/.well-known/jwks.json")
        .unwrap();
    assert_eq!(keys["method"], "GET");
    assert_eq!(keys["rpc"], "bookmesh.auth.v1.AuthService.GetJwks");
    assert_eq!(keys["policy"]["access"], "public");
    assert_eq!(keys["policy"].get("lifecycle"), Some(&Value::Null), "it stays");
    assert_eq!(
        page(process, "/admin/policies").await["bookmesh.auth.v1.AuthService.GetJwks"],
        keys["policy"]
    );
    assert_states(process).await;
}

async fn assert_states(process: &Process) {
    let upstreams = page(process, "/admin/upstreams").await;
    assert_eq!(
        upstreams["packages"][0]["endpoints"][0]["address"],
        "http://127.0.0.1:1"
    );
    assert_eq!(upstreams["cache"]["is_hearing_events"], false);
    assert!(upstreams["services"][0]["limit"].as_u64() > Some(0), "{upstreams}");
    let breakers = page(process, "/admin/breakers").await;
    assert!(
        breakers
            .as_object()
            .unwrap()
            .values()
            .all(|groups| groups[0]["group"] == "read"),
        "{breakers}"
    );
    let limits = page(process, "/admin/limits").await;
    assert_eq!(limits["redis"]["is_configured"], true);
    assert_eq!(limits["redis"]["linked_workers"], 0);
    assert_eq!(
        limits["rules"]["user"]["read"],
        json!({"name": "user-read", "quota": 6000, "seconds": 60, "burst": 1000, "most_leased": 100})
    );
    let settings = page(process, "/admin/settings").await;
    assert_eq!(settings["retry"]["budget_percent"], 20);
    assert_eq!(settings["routing"]["rules"][0]["name"], "canary");
}
