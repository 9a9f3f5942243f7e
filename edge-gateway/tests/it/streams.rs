//! Many answers to one call.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::app::{App, MAX_STREAMS, problem};

#[tokio::test]
async fn server_sent_events_are_the_default() {
    let app = App::start().await;

    let response = app.get("/v1/books/7:watch").send().await.unwrap();

    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let events: Vec<&str> = text.split_terminator("\n\n").collect();
    assert_eq!(events.len(), 3, "{text}");
    let third: Value = serde_json::from_str(events[2].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(third["pageCount"], "3");
}

#[tokio::test]
async fn lines_of_json_are_there_for_who_asks() {
    let app = App::start().await;

    let response = app
        .get("/v1/books/7:watch")
        .header("accept", "application/x-ndjson")
        .send()
        .await
        .unwrap();

    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    let counts: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["pageCount"].clone())
        .collect();
    assert_eq!(counts, ["1", "2", "3"]);
}

#[tokio::test]
async fn streams_take_no_place_from_calls() {
    let app = App::start().await;
    let mut streams = Vec::new();
    for _ in 0..MAX_STREAMS {
        streams.push(app.get("/v1/books/forever:watch").send().await.unwrap());
    }

    let response = app.user_request("GET", "/v1/books/7").send().await.unwrap();

    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn callers_who_do_not_read_their_streams_do_not_hold_up_those_of_others() {
    let app = App::start().await;
    let mut standing = Vec::new();
    for _ in 0..6 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stream = socket.connect(app.address).await.unwrap();
        let request = b"GET /v1/books/flood:watch HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        standing.push(stream);
    }
    until_still(|| app.seen.flooded.load(Ordering::SeqCst)).await;

    let other = async { app.get("/v1/books/7:watch").send().await?.text().await };
    let other = timeout(Duration::from_secs(20), other).await;

    let text = other.expect("it waits for the others").unwrap();
    assert_eq!(text.matches("data: ").count(), 3, "{text}");
}

/// Waits until a number does not grow any more.
async fn until_still(number: impl Fn() -> usize) {
    let (mut last, mut same) = (0, 0);
    while same < 10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = number();
        same = if now > 0 && now == last { same + 1 } else { 0 };
        last = now;
    }
}

#[tokio::test]
async fn an_error_before_the_first_answer_has_its_status() {
    let app = App::start().await;

    let response = app.get("/v1/books/unknown:watch").send().await.unwrap();

    assert_eq!(problem(response).await["status"], 404);
}

#[tokio::test]
async fn an_error_later_is_the_last_event() {
    let app = App::start().await;

    let events = app
        .get("/v1/books/fails:watch")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let last = events.split_terminator("\n\n").last().unwrap();
    let problem: Value = serde_json::from_str(last.strip_prefix("event: error\ndata: ").unwrap()).unwrap();
    assert_eq!(
        (&problem["status"], &problem["code"]),
        (&json!(503), &json!("UNAVAILABLE"))
    );
    assert_eq!(problem["instance"], "/v1/books/fails:watch");

    let lines = app
        .get("/v1/books/fails:watch")
        .header("accept", "application/x-ndjson")
        .send()
        .await
        .unwrap();
    let lines = lines.text().await.unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "UNAVAILABLE");
}

#[tokio::test]
async fn answers_come_when_they_are_there_and_the_call_ends_with_its_caller() {
    let app = App::start().await;

    let response = app.get("/v1/books/forever:watch").send().await.unwrap();
    let mut chunks = response.bytes_stream();
    let mut seen = String::new();
    while seen.matches("data: ").count() < 3 {
        seen += std::str::from_utf8(&chunks.next().await.unwrap().unwrap()).unwrap();
    }
    assert_eq!(app.seen.watchers.load(Ordering::SeqCst), 1);

    drop(chunks);
    for _ in 0..100 {
        if app.seen.watchers.load(Ordering::SeqCst) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the service still answers to nobody");
}

#[tokio::test]
async fn a_download_that_breaks_off_does_not_look_whole() {
    let app = App::start().await;
    let download = async |id: &str| {
        let response = app.get(&format!("/v1/scans/{id}:download")).send().await?;
        response.bytes().await
    };

    let whole = download("7").await.unwrap();
    let broken = download("fails").await;

    assert_eq!(whole, b"\x89PNG".repeat(3));
    assert!(broken.is_err(), "{broken:?}");
}

#[tokio::test]
async fn a_stream_ends_when_the_edge_stops() {
    let app = App::start().await;
    let response = app.get("/v1/books/forever:watch").send().await.unwrap();

    app.stop.cancel();

    let text = tokio::time::timeout(Duration::from_secs(5), response.text())
        .await
        .unwrap()
        .unwrap();
    assert!(text.contains("\"reason\":\"STOPPING\""), "{text}");
}
