//! Callers who are slow, by nature or on purpose.

mod loris;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::app::App;

/// Long enough for a busy machine, and far below the hours that an edge without limits would wait.
const PATIENCE: Duration = Duration::from_secs(30);
const DRIP: Duration = Duration::from_millis(50);

async fn app(settings: &str) -> App {
    App::start_configured(settings.parse().unwrap(), None).await
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Sends a byte now and then until the edge has had enough; what it answered.
async fn drip(stream: &mut TcpStream, start: &str, byte: &[u8]) -> String {
    stream.write_all(start.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut answer = Vec::new();
    let read = async {
        let _ = reader.read_to_end(&mut answer).await;
    };
    let write = async {
        while writer.write_all(byte).await.is_ok() {
            tokio::time::sleep(DRIP).await;
        }
        std::future::pending::<()>().await;
    };
    timeout(PATIENCE, async {
        tokio::select! { () = read => {}, () = write => {} }
    })
    .await
    .expect("the edge waits for ever");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_first_head_of_a_connection_has_its_time() {
    let app = app("[connections]\nhead_ms = 400").await;

    let answer = drip(&mut connect(app.address).await, "GET / HTTP/1.1\r\nx: ", b"y").await;

    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn the_next_head_of_a_connection_has_its_time_too() {
    let app = app("[connections]\nhead_ms = 400").await;
    let first = "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";

    let answer = drip(
        &mut connect(app.address).await,
        &format!("{first}GET / HTTP/1.1\r\nx: "),
        b"y",
    )
    .await;

    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    app.wait_for_figure("edge_connections_closed_total{reason=\"head\"} 1")
        .await;
}

#[tokio::test]
async fn a_body_that_nobody_reads_any_more_ends_with_its_connection() {
    let app = app("[connections]\nhead_ms = 400").await;
    let start = "POST /nowhere HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";

    let answer = drip(&mut connect(app.address).await, start, b"1\r\nx\r\n").await;

    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_drips_is_408_when_its_time_is_over() {
    let app = app("[connections]\nbody_ms = 500\nbody_idle_ms = 20000").await;
    let start = "POST /v1/books/7:lend HTTP/1.1\r\nhost: x\r\ncontent-length: 10000\r\n\r\n";

    let answer = drip(&mut connect(app.address).await, start, b" ").await;

    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(
        answer.contains("BODY_TOO_SLOW") && answer.contains("within 500 ms"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_or_a_file_of_which_nothing_more_comes_is_408() {
    let app = app("[connections]\nbody_ms = 20000\nbody_idle_ms = 300").await;

    for path in ["/v1/books/7:lend", "/v1/scans"] {
        let mut stream = connect(app.address).await;
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 8192];
        let read = timeout(PATIENCE, stream.read(&mut answer))
            .await
            .expect("it waits for ever");
        let answer = String::from_utf8_lossy(&answer[..read.unwrap()]).into_owned();

        assert!(answer.starts_with("HTTP/1.1 408 "), "{path}: {answer}");
        assert!(answer.contains("BODY_TOO_SLOW"), "{path}: {answer}");
    }
    assert_eq!(app.seen.completed_uploads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_file_that_drips_is_408_long_before_the_time_of_its_call_is_over() {
    let app = app("[connections]\nupload_bytes_per_second = 1000\nupload_grace_ms = 400").await;
    let start = "POST /v1/scans HTTP/1.1\r\nhost: x\r\ncontent-length: 10000\r\n\r\n";

    let answer = drip(&mut connect(app.address).await, start, b" ").await;

    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(
        answer.contains("BODY_TOO_SLOW") && answer.contains("1000 bytes per second"),
        "{answer}"
    );
    assert_eq!(app.seen.completed_uploads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_caller_who_does_not_take_its_answers_is_let_go() {
    let app = app("[connections]\nwrite_ms = 300").await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(app.address).await.unwrap();

    // More than all buffers between here and there can hold.
    let request = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request.repeat(200).as_bytes()).await.unwrap();

    app.wait_for_figure("edge_connections_closed_total{reason=\"write\"} 1")
        .await;
}

#[tokio::test]
async fn a_stream_may_be_quiet_for_as_long_as_it_likes() {
    let app = app("[connections]\nhead_ms = 100\nkeep_alive_ms = 100\nwrite_ms = 100").await;
    let mut stream = connect(app.address).await;
    let request = "GET /v1/books/forever:watch HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    while answer.matches("data: ").count() < 3 {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.unwrap();
        answer.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }

    // Fifteen times what a connection without an answer has.
    let end = timeout(Duration::from_millis(1500), stream.read(&mut [0; 16])).await;

    assert!(end.is_err(), "{end:?}");
    assert_eq!(app.seen.watchers.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_when_its_time_is_over() {
    let app = app("[connections]\nkeep_alive_ms = 300").await;
    let mut stream = connect(app.address).await;
    stream
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();

    let mut answer = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;

    end.expect("it stays for ever").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let app = app("[connections]\nmaximum_per_address = 2").await;
    let ask = async |stream: &mut TcpStream| {
        let request = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";
        let mut answer = [0; 4096];
        match stream.write_all(request).await {
            Ok(()) => {
                timeout(PATIENCE, stream.read(&mut answer))
                    .await
                    .unwrap()
                    .unwrap_or_default()
                    > 0
            }
            Err(_) => false,
        }
    };
    let (mut first, mut second) = (connect(app.address).await, connect(app.address).await);
    assert!(ask(&mut first).await && ask(&mut second).await);

    assert!(!ask(&mut connect(app.address).await).await);
    app.wait_for_figure("edge_connections_closed_total{reason=\"address\"} 1")
        .await;
    drop(first);
    app.wait_for_figure("edge_connections 1").await;
    assert!(ask(&mut connect(app.address).await).await);
    assert!(ask(&mut second).await);
}
