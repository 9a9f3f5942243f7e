//! How the edge parts from callers that keep their connections.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::app::App;

/// A caller that keeps its connection, and sees how each answer begins.
struct Kept(TcpStream);

impl Kept {
    async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// The head of the answer, in lower case; empty when the connection ends instead.
    async fn get(&mut self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: edge\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !is_whole(&answer) && self.0.read_buf(&mut answer).await.unwrap_or(0) > 0 {}
        String::from_utf8(answer).unwrap().to_lowercase()
    }
}

/// Whether head and body are there.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.unwrap().parse::<usize>().unwrap()
}

async fn wait_until_refused(address: SocketAddr) {
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_has_a_connection_is_answered_once_more_and_told_to_leave_while_nobody_new_is_let_in() {
    let mut app = App::start().await;
    let mut caller = Kept::connect(app.address).await;
    let before = caller.get("/v1/books").await;
    assert!(
        before.starts_with("http/1.1 200") && !before.contains("connection: close"),
        "{before}"
    );

    app.stop.cancel();
    wait_until_refused(app.address).await;
    let after = caller.get("/v1/books").await;

    assert!(
        after.starts_with("http/1.1 200") && after.contains("connection: close"),
        "{after}"
    );
    assert_eq!(caller.0.read(&mut [0]).await.unwrap(), 0, "the edge has closed it");
    app.edge.take().unwrap().await.unwrap().unwrap();
}
