//! Sends the same kind of request over a number of connections, as fast as they are answered or at a fixed rate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Makes the `n`th request of a run, as it goes over the wire.
pub type MakeRequest = Arc<dyn Fn(usize) -> Bytes + Send + Sync>;

/// What is asked, by how many, for how long.
#[derive(Clone)]
pub struct Load {
    /// The edge's `host:port`.
    pub address: String,
    /// Connections kept open.
    pub connections: usize,
    /// How long requests are sent.
    pub duration: Duration,
    /// The requests.
    pub request: MakeRequest,
    /// The status that every answer must have.
    pub expected_status: u16,
}

/// What came of a run.
pub struct Outcome {
    /// Requests answered.
    pub requests: usize,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    latencies: Vec<Duration>,
}

impl Outcome {
    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that `share` (0 to 1) of all requests did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let index = (self.latencies.len() as f64 * share) as usize;
        self.latencies
            .get(index.min(self.latencies.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }
}

/// Every connection sends its next request when its last one was answered.
pub async fn saturate(load: &Load) -> Result<Outcome> {
    run(load, None).await
}

/// Requests are due at `rate` per second, whether or not earlier ones were answered; latency counts from when a request was
/// due, so that a stall is charged to every request that it delayed (no coordinated omission).
pub async fn at_rate(load: &Load, rate: f64) -> Result<Outcome> {
    run(load, Some(Duration::from_secs_f64(1.0 / rate))).await
}

async fn run(load: &Load, interval: Option<Duration>) -> Result<Outcome> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut opened = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        opened.push(Connection::open(&load.address).await?);
    }
    let start = Instant::now();
    let mut connections = JoinSet::new();
    for connection in opened {
        connections.spawn(drive(load.clone(), connection, Arc::clone(&next), start, interval));
    }
    let mut latencies = Vec::new();
    while let Some(connection) = connections.join_next().await {
        latencies.extend(connection??);
    }
    let elapsed = start.elapsed();
    latencies.sort_unstable();
    Ok(Outcome {
        requests: latencies.len(),
        elapsed,
        latencies,
    })
}

async fn drive(
    load: Load,
    mut connection: Connection,
    next: Arc<AtomicUsize>,
    start: Instant,
    interval: Option<Duration>,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let due = interval.map_or_else(Instant::now, |interval| start + interval.mul_f64(number as f64));
        if due.duration_since(start) >= load.duration {
            return Ok(latencies);
        }
        if interval.is_some() {
            sleep_until(due).await;
        }
        connection
            .exchange(&(load.request)(number), load.expected_status)
            .await?;
        latencies.push(due.elapsed());
    }
}

/// A connection kept open. Plain bytes rather than an HTTP client: what is measured shares two cores with what measures.
struct Connection {
    stream: TcpStream,
    received: BytesMut,
}

impl Connection {
    async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        let received = BytesMut::with_capacity(64 << 10);
        Ok(Self { stream, received })
    }

    async fn exchange(&mut self, request: &[u8], expected_status: u16) -> Result<()> {
        self.stream.write_all(request).await?;
        let (status, length) = loop {
            if let Some(head) = Head::parse(&self.received)? {
                break (head.status, head.head_bytes + head.body_bytes);
            }
            self.receive().await?;
        };
        while self.received.len() < length {
            self.receive().await?;
        }
        let answer = String::from_utf8_lossy(&self.received[..length.min(2048)]);
        ensure!(status == expected_status, "answered {status}: {answer}");
        self.received.advance(length);
        Ok(())
    }

    async fn receive(&mut self) -> Result<()> {
        let count = self.stream.read_buf(&mut self.received).await?;
        ensure!(count > 0, "the edge closed a connection");
        Ok(())
    }
}

/// What an answer's first lines say; every answer of the measured calls has a `content-length`.
struct Head {
    status: u16,
    head_bytes: usize,
    body_bytes: usize,
}

impl Head {
    fn parse(received: &[u8]) -> Result<Option<Self>> {
        let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&received[..end]).context("a head is text")?;
        let status = text.get(9..12).and_then(|status| status.parse().ok());
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        Ok(Some(Self {
            status: status.context("an answer begins with its status")?,
            head_bytes: end + 4,
            body_bytes: length
                .and_then(|length| length.parse().ok())
                .context("an answer says its length")?,
        }))
    }
}
