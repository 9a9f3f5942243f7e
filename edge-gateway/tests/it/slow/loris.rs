//! Two thousand connections that drip, against an edge in a process of its own, so that its memory is its own too.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, net::SocketAddr};

use devstack::{free_port, keys};
use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const CONNECTIONS: usize = 2000;
/// For each connection: two buffers of 8 KiB, a timer, and what Actix and the allocator want around them.
const MAX_BYTES_EACH: u64 = 40 * 1024;
const SETTINGS: &str = "[connections]\nhead_ms = 4000\n";

struct Edge {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Edge {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        keys::generate(folder.path(), &["edge-gateway"]).unwrap();
        let settings = folder.path().join("settings.toml");
        fs::write(&settings, SETTINGS).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_edge-gateway"));
        command
            .env("EDGE_LISTEN", address.to_string())
            .env("EDGE_ADMIN_LISTEN", format!("127.0.0.1:{}", free_port()))
            .env("EDGE_WORKERS", "2")
            .env("EDGE_SETTINGS", &settings)
            .env("EDGE_SERVICE_KEY", keys::private_key(folder.path(), "edge-gateway"))
            .env("BOOKMESH_SERVICE_KEYS", keys::public_keys(folder.path()))
            .env("BOOKMESH_LOG", "off");
        // What is asked of it here, it answers by itself.
        for name in ["AUTH", "BOOKMARKS", "IMPORT", "TASK", "ENRICH"] {
            command.env(format!("BOOKMESH_{name}_ADDRESS"), "http://127.0.0.1:1");
        }
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let edge = Self {
            process,
            address,
            _folder: folder,
        };
        for _ in 0..600 {
            if edge.is_served().await {
                return edge;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the edge did not start");
    }

    /// Whether somebody who comes now is answered.
    async fn is_served(&self) -> bool {
        let ask = async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream
                .write_all(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            std::io::Result::Ok(answer.starts_with(b"HTTP/1.1 200 "))
        };
        matches!(timeout(Duration::from_secs(10), ask).await, Ok(Ok(true)))
    }

    fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Drips into a head that is never over; when the edge closed the connection.
async fn drip(address: SocketAddr, number: usize) -> Instant {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Half of them have been good callers once.
    let before = match number % 2 {
        0 => "",
        _ => "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n",
    };
    let start = format!("{before}GET / HTTP/1.1\r\nhost: x\r\nx: ");
    let _ = stream.write_all(start.as_bytes()).await;
    let (mut reader, mut writer) = stream.split();
    let mut answer = Vec::new();
    tokio::select! {
        _ = reader.read_to_end(&mut answer) => {}
        () = async {
            loop {
                tokio::time::sleep(Duration::from_millis(400)).await;
                if writer.write_all(b"y").await.is_err() {
                    break;
                }
            }
        } => {}
    }
    Instant::now()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn two_thousand_that_drip_leave_memory_flat_and_others_served() {
    let edge = Edge::start().await;
    for _ in 0..20 {
        assert!(edge.is_served().await);
    }
    let before = edge.resident_bytes();

    let address = edge.address;
    let dripping = tokio::spawn(join_all((0..CONNECTIONS).map(move |number| drip(address, number))));
    let (mut served, mut highest) = (0, before);
    while !dripping.is_finished() && served < 2000 {
        assert!(edge.is_served().await, "after {served}");
        highest = highest.max(edge.resident_bytes());
        served += 1;
    }

    // Every one of them ends, or this never does.
    let ended = timeout(Duration::from_secs(60), dripping)
        .await
        .expect("some stay for ever");
    assert_eq!(ended.unwrap().len(), CONNECTIONS);
    assert!(served > 0);
    let grown = (highest - before) / CONNECTIONS as u64;
    assert!(grown < MAX_BYTES_EACH, "{grown} bytes for each connection");
}
