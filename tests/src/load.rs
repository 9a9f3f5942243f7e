//! Sends the same kind of request over a number of connections, as fast as they are answered or at a fixed rate.
//!
//! What measures shares its cores with what is measured. At saturation one event loop serves all connections, so that
//! an answer seldom has to wake anybody. At a fixed rate each connection has a blocking thread, which sleeps to some 50 µs
//! where tokio's timer ticks in milliseconds.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
};

/// An answer that takes longer has failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const READ_BYTES: usize = 64 << 10;

/// Makes the `n`th request of a run, as it goes over the wire.
pub type MakeRequest = Arc<dyn Fn(usize) -> Bytes + Send + Sync>;

/// What is asked, by how many, for how long.
#[derive(Clone)]
pub struct Load {
    /// The server's `host:port`.
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
    fn of(elapsed: Duration, mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self {
            requests: latencies.len(),
            elapsed,
            latencies,
        }
    }

    /// Answers per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that `share` (0 to 1) of all requests did not exceed.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let index = (self.latencies.len() as f64 * share) as usize;
        self.latencies
            .get(index.min(self.latencies.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }
}

/// A request with a bearer token, as it goes over the wire to `address`, which is `host:port`.
#[must_use]
pub fn request(method: &str, address: &str, path: &str, token: &str, body: &Value) -> Bytes {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let length = body.len();
    Bytes::from(format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    ))
}

/// Every connection sends its next request when its last one was answered. Blocks until the run is over.
///
/// # Errors
/// When a connection fails, or an answer has another status than the expected one.
pub fn saturate(load: &Load) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let next = Arc::new(AtomicUsize::new(0));
        let mut connections = JoinSet::new();
        let start = Instant::now();
        for _ in 0..load.connections {
            connections.spawn(exchange_until(load.clone(), Arc::clone(&next), start + load.duration));
        }
        let mut latencies = Vec::new();
        while let Some(connection) = connections.join_next().await {
            latencies.extend(connection??);
        }
        Ok(Outcome::of(start.elapsed(), latencies))
    })
}

async fn exchange_until(load: Load, next: Arc<AtomicUsize>, end: Instant) -> Result<Vec<Duration>> {
    let mut stream = tokio::net::TcpStream::connect(&load.address)
        .await
        .with_context(|| format!("connecting to {}", load.address))?;
    stream.set_nodelay(true)?;
    let mut received = BytesMut::new();
    let mut latencies = Vec::new();
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(latencies);
        }
        let request = (load.request)(next.fetch_add(1, Ordering::Relaxed));
        stream.write_all(&request).await?;
        while !take_answer(&mut received, load.expected_status)? {
            received.reserve(READ_BYTES);
            ensure!(
                stream.read_buf(&mut received).await? > 0,
                "the server closed a connection"
            );
        }
        latencies.push(sent.elapsed());
    }
}

/// Requests are due at `rate` per second, whether or not earlier ones were answered; latency counts from when a request was
/// due, so that a stall is charged to every request that it delayed (no coordinated omission). Blocks until the run is over.
///
/// # Errors
/// The same.
pub fn at_rate(load: &Load, rate: f64) -> Result<Outcome> {
    let interval = Duration::from_secs_f64(1.0 / rate);
    let next = AtomicUsize::new(0);
    let opened: Result<Vec<Connection>> = (0..load.connections).map(|_| Connection::open(&load.address)).collect();
    let opened = opened?;
    let start = Instant::now();
    let driven: Result<Vec<Vec<Duration>>> = thread::scope(|scope| {
        let drive = |connection| scope.spawn(|| drive(load, connection, &next, start, interval));
        let threads: Vec<_> = opened.into_iter().map(drive).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().map_err(|_| anyhow!("a thread panicked"))?;
        threads.into_iter().map(join).collect()
    });
    Ok(Outcome::of(start.elapsed(), driven?.into_iter().flatten().collect()))
}

fn drive(
    load: &Load,
    mut connection: Connection,
    next: &AtomicUsize,
    start: Instant,
    interval: Duration,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let due = start + interval.mul_f64(number as f64);
        if due.duration_since(start) >= load.duration {
            return Ok(latencies);
        }
        wait_until(due);
        connection.exchange(&(load.request)(number), load.expected_status)?;
        latencies.push(due.elapsed());
    }
}

#[expect(clippy::disallowed_methods, reason = "this thread has nothing else to do")]
fn wait_until(due: Instant) {
    let remaining = due.saturating_duration_since(Instant::now());
    if !remaining.is_zero() {
        thread::sleep(remaining);
    }
}

/// A connection kept open. Plain bytes rather than an HTTP client, which would cost more than what is measured.
struct Connection {
    stream: TcpStream,
    received: BytesMut,
    buffer: Box<[u8]>,
}

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Self {
            stream,
            received: BytesMut::new(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        })
    }

    fn exchange(&mut self, request: &[u8], expected_status: u16) -> Result<()> {
        self.stream.write_all(request)?;
        while !take_answer(&mut self.received, expected_status)? {
            let count = self.stream.read(&mut self.buffer)?;
            ensure!(count > 0, "the server closed a connection");
            self.received.extend_from_slice(&self.buffer[..count]);
        }
        Ok(())
    }
}

/// Whether a whole answer was there; it is gone then.
fn take_answer(received: &mut BytesMut, expected_status: u16) -> Result<bool> {
    let Some(head) = Head::parse(received)? else {
        return Ok(false);
    };
    let length = head.head_bytes + head.body_bytes;
    if received.len() < length {
        return Ok(false);
    }
    if head.status != expected_status {
        let answer = String::from_utf8_lossy(&received[..length.min(2048)]);
        return Err(anyhow!("answered {}: {answer}", head.status));
    }
    received.advance(length);
    Ok(true)
}

/// What an answer's first lines say; every answer of the measured calls has a `content-length`, or no body.
pub struct Head {
    /// The status code.
    pub status: u16,
    /// How long the first lines are, with the empty one at their end.
    pub head_bytes: usize,
    /// How long the body is that follows.
    pub body_bytes: usize,
}

impl Head {
    /// Nothing while the first lines are not all there.
    ///
    /// # Errors
    /// When it is no answer, or one without a length.
    pub fn parse(received: &[u8]) -> Result<Option<Self>> {
        let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&received[..end]).context("a head is text")?;
        let status = text.get(9..12).and_then(|status| status.parse().ok());
        let status: u16 = status.context("an answer begins with its status")?;
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let body_bytes = match (status, length) {
            (204 | 304, _) => 0,
            (_, length) => length
                .and_then(|length| length.parse().ok())
                .context("an answer says its length")?,
        };
        Ok(Some(Self {
            status,
            head_bytes: end + 4,
            body_bytes,
        }))
    }
}
