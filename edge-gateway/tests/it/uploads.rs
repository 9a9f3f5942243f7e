//! Bodies that are streamed through.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::app::{App, Setup, problem};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn megabytes(count: usize) -> reqwest::Body {
    let megabyte = Bytes::from(vec![b'x'; 1 << 20]);
    let chunks = (0..count).map(move |_| Ok::<_, std::io::Error>(megabyte.clone()));
    reqwest::Body::wrap_stream(futures::stream::iter(chunks))
}

#[tokio::test]
async fn a_raw_file_goes_with_its_type_its_name_and_the_query() {
    let app = App::start().await;

    let request = app
        .request("POST", "/v1/scans?shelf=A")
        .header("content-type", "text/html");
    let request = request.header("content-disposition", "attachment; filename=\"b.html\"");
    let response = request.body("x".repeat(200_000)).send().await.unwrap();

    assert_eq!(response.status(), 201);
    let scan: Value = response.json().await.unwrap();
    assert_eq!(scan["contentType"], "text/html");
    assert_eq!(scan["fileName"], "b.html");
    assert_eq!(scan["shelf"], "A");
    assert_eq!(scan["sizeBytes"], "200000");
    assert_eq!(scan["messages"], 4);
}

#[tokio::test]
async fn the_file_of_a_form_is_unwrapped() {
    let app = App::start().await;

    let part = Part::bytes(vec![b'x'; 100_000])
        .file_name("c.html")
        .mime_str("text/html")
        .unwrap();
    let response = app
        .request("POST", "/v1/scans")
        .multipart(Form::new().part("file", part))
        .send()
        .await
        .unwrap();

    let scan: Value = response.json().await.unwrap();
    assert_eq!(
        (&scan["fileName"], &scan["contentType"]),
        (&json!("c.html"), &json!("text/html"))
    );
    assert_eq!(scan["sizeBytes"], "100000");
}

#[tokio::test]
async fn a_form_without_exactly_one_part_is_refused_and_the_service_never_sees_a_whole_file() {
    let app = App::start().await;

    let two = Form::new()
        .text("a", "1")
        .part("file", Part::bytes(vec![b'x'; 100_000]).file_name("c.html"));
    let response = app.request("POST", "/v1/scans").multipart(two).send().await.unwrap();
    assert_eq!(problem(response).await["reason"], "INVALID_FORM");

    let request = app
        .request("POST", "/v1/scans")
        .header("content-type", "multipart/form-data; boundary=b");
    let response = request
        .body("--b\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\nhalf")
        .send()
        .await
        .unwrap();
    assert_eq!(problem(response).await["reason"], "INVALID_FORM");
    // On the same connection, so whatever came of the others was before it.
    let whole = app.request("POST", "/v1/scans").body("file").send().await.unwrap();
    assert_eq!(whole.status(), 201);
    assert_eq!(app.seen.completed_uploads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_form_whose_heads_never_end_is_refused_before_it_fills_the_memory() {
    let app = App::start().await;
    let endless = "a".repeat(4 << 20);

    for body in [
        endless.clone(),
        format!("--b\r\nX: {endless}"),
        format!("--b\r\nX: y\r\n\r\nfile\r\n--b\r\nX: {endless}"),
    ] {
        let request = app
            .request("POST", "/v1/scans")
            .header("content-type", "multipart/form-data; boundary=b");
        let response = request.body(body).send().await.unwrap();
        let problem = problem(response).await;
        assert_eq!(problem["reason"], "INVALID_FORM");
        assert!(
            problem["detail"].as_str().unwrap().contains("262144 bytes"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_form_may_have_something_after_its_end() {
    let app = App::start().await;
    let request = app
        .request("POST", "/v1/scans")
        .header("content-type", "multipart/form-data; boundary=b");
    let after = "a".repeat(1 << 20);

    let body = format!("--b\r\nX: y\r\n\r\nfile\r\n--b--\r\n{after}");
    let response = request.body(body).send().await.unwrap();

    let scan: Value = response.json().await.unwrap();
    assert_eq!(scan["sizeBytes"], "4");
}

#[tokio::test]
async fn a_form_without_a_boundary_is_no_file() {
    let app = App::start().await;
    let request = app
        .request("POST", "/v1/scans")
        .header("content-type", "multipart/form-data");

    let response = request.body("--b--").send().await.unwrap();

    assert_eq!(problem(response).await["reason"], "INVALID_FORM");
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let app = App::start().await;

    let response = app
        .request("POST", "/v1/scans")
        .header("content-type", "text/html")
        .send()
        .await
        .unwrap();

    let scan: Value = response.json().await.unwrap();
    assert_eq!((&scan["sizeBytes"], &scan["messages"]), (&json!("0"), &json!(1)));
}

#[tokio::test]
async fn a_service_that_does_not_want_the_file_is_heard_at_once() {
    let app = App::start().await;

    let response = app
        .request("POST", "/v1/scans?fileName=refused")
        .body(megabytes(200))
        .send()
        .await
        .unwrap();

    let problem = problem(response).await;
    assert_eq!(problem["detail"], "no more scans today");
}

#[tokio::test]
async fn a_file_above_the_limit_is_413_and_the_service_never_sees_a_whole_file() {
    let app = App::start().await;

    let response = app.request("POST", "/v1/scans").body(megabytes(240)).send().await;

    // The edge answers before it has read everything; whether the client sees that depends on its timing.
    if let Ok(response) = response {
        assert_eq!(response.status(), 413);
    }
    eventually(|| app.seen.cancelled_uploads.load(Ordering::SeqCst) == 1).await;
    assert_eq!(app.seen.completed_uploads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_no_half_file() {
    let app = App::start().await;
    let mut socket = tokio::net::TcpStream::connect(app.address).await.unwrap();
    socket
        .write_all(b"POST /v1/scans HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        .await
        .unwrap();
    socket.write_all(&[b'x'; 300_000]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;

    drop(socket);

    eventually(|| app.seen.cancelled_uploads.load(Ordering::SeqCst) == 1).await;
    assert_eq!(app.seen.completed_uploads.load(Ordering::SeqCst), 0);
}

/// A service that takes the file whole and then says nothing, and how the edge ends the call.
async fn silent_service() -> (App, oneshot::Receiver<h2::Reason>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (report, reported) = oneshot::channel();
    let received = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&received);
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(socket).await.unwrap();
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut body = request.into_body();
        let call = async move {
            while let Some(Ok(data)) = body.data().await {
                body.flow_control().release_capacity(data.len()).unwrap();
            }
            counter.store(usize::from(body.is_end_stream()), Ordering::SeqCst);
            let reason = std::future::poll_fn(|context| respond.poll_reset(context)).await;
            let _ = report.send(reason.unwrap());
        };
        tokio::join!(call, async { while connection.accept().await.is_some() {} });
    });
    let app = App::start_at(Setup::library(address)).await;
    (app, reported, received)
}

#[tokio::test]
async fn a_service_that_never_answers_is_given_up_at_the_deadline() {
    let (app, reset, received) = silent_service().await;

    let request = app.request("POST", "/v1/scans").header("request-timeout", "1");
    let response = request.body("file").send().await.unwrap();

    assert_eq!(problem(response).await["reason"], "DEADLINE_EXCEEDED");
    let reset = timeout(PATIENCE, reset)
        .await
        .expect("the call goes on without its caller");
    // CANCEL would be taken for the end of the file.
    assert_eq!(reset.unwrap(), h2::Reason::INTERNAL_ERROR);
    assert_eq!(received.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_caller_who_hangs_up_before_the_answer_ends_the_call() {
    let (app, reset, received) = silent_service().await;

    tokio::select! {
        response = app.request("POST", "/v1/scans").body("file").send() => panic!("{response:?}"),
        () = eventually(|| received.load(Ordering::SeqCst) == 1) => {}
    }

    let reset = timeout(PATIENCE, reset)
        .await
        .expect("the call goes on without its caller");
    assert_eq!(reset.unwrap(), h2::Reason::INTERNAL_ERROR);
}

#[tokio::test]
async fn two_hundred_megabytes_need_no_more_memory_than_a_few_pieces() {
    let app = App::start().await;
    app.request("POST", "/v1/scans")
        .body(megabytes(2))
        .send()
        .await
        .unwrap();
    let before = resident_megabytes();

    let response = app
        .request("POST", "/v1/scans")
        .body(megabytes(200))
        .send()
        .await
        .unwrap();

    let scan: Value = response.json().await.unwrap();
    assert_eq!(scan["sizeBytes"], (200 << 20).to_string());
    let grown = peak_megabytes().saturating_sub(before);
    assert!(grown < 32, "grew by {grown} MiB");
}

async fn eventually(holds: impl Fn() -> bool) {
    for _ in 0..250 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came true");
}

fn resident_megabytes() -> u64 {
    memory("VmRSS:")
}

fn peak_megabytes() -> u64 {
    memory("VmHWM:")
}

fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
