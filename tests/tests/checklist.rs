//! Rows of the security checklist (OWASP ASVS 5.0) that concern the whole and no single part. docs/security.md says which test
//! holds which row.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use system_tests::{Client, start_platform};
use tokio::time::{Instant, sleep};

const ROUTE: &str = "/v1/bookmarks";
const LIMIT: Duration = Duration::from_secs(10);

/// 16.5.2, 16.5.3: what fails, fails closed.
#[tokio::test]
async fn checklist_16_5_2_while_a_store_is_away_nobody_gets_in_who_would_not_get_in_otherwise() -> Result<()> {
    let platform = start_platform().await?;
    let edge = platform.edge_url();
    let anonymous = Client::anonymous(&edge);
    let gone = Client::register(&edge, "gone@example.com").await?;
    gone.delete("/v1/sessions/current").await?;
    wait_for_refusal(&gone).await?;
    let stranger = anonymous.with_token("eyJhbGciOiJub25lIn0.e30.");
    let stack = platform.stack();

    stack.kill_redis()?;
    assert_nobody_gets_in(&anonymous, &[&gone, &stranger]).await?;
    stack.kill_nats()?;
    assert_nobody_gets_in(&anonymous, &[&gone, &stranger]).await?;
    stack.kill_postgres()?;
    assert_nobody_gets_in(&anonymous, &[&gone, &stranger]).await?;

    platform.stop().await;
    Ok(())
}

async fn assert_nobody_gets_in(anonymous: &Client, refused: &[&Client]) -> Result<()> {
    for client in [&[anonymous], refused].concat() {
        let read = client.get(ROUTE).await?;
        let written = client.post(ROUTE, &json!({"url": "https://example.com/"})).await?;
        assert_eq!(read.status, 401, "{}", read.body);
        assert_eq!(written.status, 401, "{}", written.body);
    }
    let wrong = json!({"email": "gone@example.com", "password": "not the password of this person"});
    let log_in = anonymous.post("/v1/sessions", &wrong).await?;
    assert!(log_in.status >= 400, "{}", log_in.body);
    let forged = json!({"refreshToken": "AQ"});
    let refresh = anonymous.post("/v1/sessions:refresh", &forged).await?;
    assert!(refresh.status >= 400, "{}", refresh.body);
    Ok(())
}

async fn wait_for_refusal(client: &Client) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while client.get(ROUTE).await?.status != 401 {
        anyhow::ensure!(Instant::now() < deadline, "the log-out never counted");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// 13.4.5, 13.4.6, API8 and API9: the public port has what the contract has, and no more.
#[tokio::test]
async fn checklist_13_4_5_the_public_port_shows_nothing_of_the_inside() -> Result<()> {
    let platform = start_platform().await?;
    let client = Client::register(&platform.edge_url(), "curious@example.com").await?;

    for path in [
        "/metrics",
        "/admin",
        "/admin/upstreams",
        "/admin/routes",
        "/debug",
        "/debug/pprof/",
        "/.git/config",
        "/.env",
        "/server-status",
        "/actuator",
        "/bookmesh.bookmarks.v1.BookmarkService/ListBookmarks",
        "/bookmesh.auth.v1.AuthInternalService/ListEndedSessions",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.health.v1.Health/Check",
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = client.send(client.request(method.clone(), path)).await?;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
        }
    }
    let trace = client.send(client.request(Method::TRACE, ROUTE)).await?;
    assert!(matches!(trace.status, 404 | 405 | 501), "TRACE: {}", trace.status);
    platform.stop().await;
    Ok(())
}

/// 4.2.1 and what follows it: where a request ends is never a matter of taste.
#[tokio::test]
async fn checklist_4_2_1_requests_with_two_ends_are_refused_and_what_follows_them_is_not_answered() -> Result<()> {
    const HIDDEN: &str = "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";
    let platform = start_platform().await?;
    let edge = platform.edge_url();
    let ambiguous = [
        (
            "a length and chunks",
            "content-length: 5\r\ntransfer-encoding: chunked",
            "0\r\n\r\n",
        ),
        (
            "chunks and a length",
            "transfer-encoding: chunked\r\ncontent-length: 5",
            "0\r\n\r\n",
        ),
        ("two lengths", "content-length: 0\r\ncontent-length: 5", "12345"),
        ("a list of lengths", "content-length: 0, 5", "12345"),
        ("a signed length", "content-length: +5", "12345"),
        ("a length of another base", "content-length: 0x5", "12345"),
        (
            "a coding that is not the last",
            "transfer-encoding: chunked, identity",
            "0\r\n\r\n",
        ),
        (
            "a coding twice",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "0\r\n\r\n",
        ),
        ("a coding of another name", "transfer-encoding: xchunked", "0\r\n\r\n"),
        ("a space before the colon", "transfer-encoding : chunked", "0\r\n\r\n"),
    ];

    let request =
        |headers: &str, body: &str| format!("POST /v1/sessions HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\n{body}{HIDDEN}");
    let clear = exchange(&edge, request("content-length: 5", "12345").as_bytes()).await?;
    assert_eq!(
        clear.matches("HTTP/1.1 ").count(),
        2,
        "what follows a clear end is answered: {clear}"
    );

    for (what, headers, body) in ambiguous {
        let request = request(headers, body);
        let answers = exchange(&edge, request.as_bytes()).await?;
        assert!(!answers.contains(" 200 "), "{what}: {answers}");
        assert!(answers.matches("HTTP/1.1 ").count() <= 1, "{what}: {answers}");
        assert!(
            answers.is_empty() || answers.starts_with("HTTP/1.1 4") || answers.starts_with("HTTP/1.1 501"),
            "{what}: {answers}"
        );
    }
    platform.stop().await;
    Ok(())
}

/// All that comes back until the connection is closed, or nothing more comes.
async fn exchange(edge: &str, request: &[u8]) -> Result<String> {
    let address = edge.strip_prefix("http://").context("the edge speaks HTTP")?.to_owned();
    let request = request.to_vec();
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(&request)?;
        let mut answers = Vec::new();
        let mut buffer = [0; 4096];
        // A connection that stays open says nothing more; one that was reset has said all.
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            answers.extend_from_slice(&buffer[..count]);
        }
        Ok(String::from_utf8_lossy(&answers).into_owned())
    })
    .await?
}
