//! Sends the same kind of request over a number of connections, as fast as they are answered or at a fixed rate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Makes the `n`th request of a run.
pub type MakeRequest = Arc<dyn Fn(usize) -> Request<Full<Bytes>> + Send + Sync>;

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
    let mut senders = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        senders.push(connect(&load.address).await?);
    }
    let start = Instant::now();
    let mut connections = JoinSet::new();
    for sender in senders {
        connections.spawn(drive(load.clone(), sender, Arc::clone(&next), start, interval));
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
    mut sender: SendRequest<Full<Bytes>>,
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
        sleep_until(due).await;
        exchange(&mut sender, (load.request)(number), load.expected_status).await?;
        latencies.push(due.elapsed());
    }
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    expected_status: u16,
) -> Result<()> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    ensure!(
        status == expected_status,
        "answered {status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(())
}
