//! Callers: requests of several kinds at a steady rate, whatever becomes of them, or as fast as they are answered.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use system_tests::load::Head;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until, timeout},
};

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(15);
const READ_BYTES: usize = 16 << 10;
/// Used in turn, so that all workers of the edge get requests; more are opened where these are not enough.
const CONNECTIONS: usize = 16;

/// Requests of one kind; the nth of a run is the nth that this makes.
#[derive(Clone)]
pub struct Kind {
    pub name: &'static str,
    pub request: Arc<dyn Fn(usize) -> Bytes + Send + Sync>,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub kind: &'static str,
    /// When it was due.
    pub due: Instant,
    /// From then until its answer, so that a stall is charged to every request that it delayed.
    pub took: Duration,
    /// Nothing when there was no answer.
    pub status: Option<u16>,
}

impl Sample {
    pub fn is_good(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }
}

/// Traffic that goes on until it is ended.
pub struct Traffic {
    shared: Arc<Shared>,
    sender: JoinHandle<()>,
}

struct Shared {
    address: String,
    kinds: Vec<Kind>,
    idle: Mutex<VecDeque<TcpStream>>,
    sent: AtomicUsize,
    samples: Mutex<Vec<Sample>>,
    is_over: AtomicBool,
}

impl Traffic {
    /// So many requests a second, the kinds in turn.
    pub async fn begin(address: String, kinds: Vec<Kind>, rate: f64) -> Result<Self> {
        let shared = Shared::new(address, kinds);
        for _ in 0..CONNECTIONS {
            let connection = shared.connect().await?;
            lock(&shared.idle).push_back(connection);
        }
        let sender = tokio::spawn(send(Arc::clone(&shared), Duration::from_secs_f64(1.0 / rate)));
        Ok(Self { shared, sender })
    }

    /// How many requests have no answer yet.
    pub fn under_way(&self) -> usize {
        let answered = lock(&self.shared.samples).len();
        self.shared.sent.load(Ordering::Relaxed).saturating_sub(answered)
    }

    /// All requests that have been answered by now.
    pub fn samples(&self) -> Vec<Sample> {
        lock(&self.shared.samples).clone()
    }

    /// Waits for the answers that are due.
    pub async fn end(self) -> Result<Vec<Sample>> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.sender.await.context("sending")?;
        Ok(std::mem::take(&mut *lock(&self.shared.samples)))
    }
}

/// Each connection sends its next request when its last one was answered.
pub async fn saturate(address: &str, kinds: &[Kind], connections: usize, time: Duration) -> Vec<Sample> {
    let shared = Shared::new(address.to_owned(), kinds.to_vec());
    let next = Arc::new(AtomicUsize::new(0));
    let end = Instant::now() + time;
    let mut callers = JoinSet::new();
    for _ in 0..connections {
        let (shared, next) = (Arc::clone(&shared), Arc::clone(&next));
        callers.spawn(async move {
            while Instant::now() < end {
                let number = next.fetch_add(1, Ordering::Relaxed);
                Arc::clone(&shared).exchange(number, Instant::now()).await;
            }
        });
    }
    callers.join_all().await;
    std::mem::take(&mut *lock(&shared.samples))
}

async fn send(shared: Arc<Shared>, interval: Duration) {
    let (start, mut requests) = (Instant::now(), JoinSet::new());
    for number in 0.. {
        let due = start + interval.mul_f64(f64::from(number));
        sleep_until(due).await;
        if shared.is_over.load(Ordering::Relaxed) {
            break;
        }
        requests.spawn(Arc::clone(&shared).exchange(number as usize, due));
        while requests.try_join_next().is_some() {}
    }
    requests.join_all().await;
}

impl Shared {
    fn new(address: String, kinds: Vec<Kind>) -> Arc<Self> {
        Arc::new(Self {
            address,
            kinds,
            idle: Mutex::default(),
            sent: AtomicUsize::new(0),
            samples: Mutex::default(),
            is_over: AtomicBool::new(false),
        })
    }

    async fn exchange(self: Arc<Self>, number: usize, due: Instant) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let kind = &self.kinds[number % self.kinds.len()];
        let request = (kind.request)(number / self.kinds.len());
        let answered = timeout(PATIENCE, self.answer(&request)).await;
        let status = match answered {
            Ok(Ok((status, connection))) => {
                lock(&self.idle).extend(connection);
                Some(status)
            }
            Ok(Err(_)) | Err(_) => None,
        };
        lock(&self.samples).push(Sample {
            kind: kind.name,
            due,
            took: due.elapsed(),
            status,
        });
    }

    /// The status, and the connection when it can be used again.
    async fn answer(&self, request: &[u8]) -> Result<(u16, Option<TcpStream>)> {
        let idle = lock(&self.idle).pop_front();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        connection.write_all(request).await?;
        let mut received = BytesMut::with_capacity(READ_BYTES);
        loop {
            ensure!(
                connection.read_buf(&mut received).await? > 0,
                "the connection was closed"
            );
            if let Some(head) = Head::parse(&received)?
                && received.len() >= head.head_bytes + head.body_bytes
            {
                let closes = received[..head.head_bytes]
                    .windows(17)
                    .any(|text| text == b"connection: close");
                return Ok((head.status, (!closes).then_some(connection)));
            }
        }
    }

    async fn connect(&self) -> Result<TcpStream> {
        let connection = TcpStream::connect(&self.address).await?;
        connection.set_nodelay(true)?;
        Ok(connection)
    }
}

/// A panic elsewhere makes no sample wrong.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Those that were due within `from..until`.
pub fn within(samples: &[Sample], from: Instant, until: Instant) -> Vec<Sample> {
    let is_within = |sample: &&Sample| (from..until).contains(&sample.due);
    samples.iter().filter(is_within).copied().collect()
}

/// Those of one kind.
pub fn of_kind(samples: &[Sample], kind: &str) -> Vec<Sample> {
    samples.iter().filter(|sample| sample.kind == kind).copied().collect()
}

/// Those with one status.
pub fn of_status(samples: &[Sample], status: u16) -> Vec<Sample> {
    let has_status = |sample: &&Sample| sample.status == Some(status);
    samples.iter().filter(has_status).copied().collect()
}

/// Of a hundred.
pub fn good_percent(samples: &[Sample]) -> f64 {
    let good = samples.iter().filter(|sample| sample.is_good()).count();
    good as f64 * 100.0 / samples.len().max(1) as f64
}

/// The time that `share` (0 to 1) of them did not exceed; zero of none.
pub fn quantile(samples: &[Sample], share: f64) -> Duration {
    let mut times: Vec<Duration> = samples.iter().map(|sample| sample.took).collect();
    times.sort_unstable();
    let place = (times.len() as f64 * share) as usize;
    times
        .get(place.min(times.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

/// How many had which answer, such as `200: 12, 503: 3, none: 1`.
pub fn statuses(samples: &[Sample]) -> String {
    let mut counts: BTreeMap<Option<u16>, usize> = BTreeMap::new();
    for sample in samples {
        *counts.entry(sample.status).or_default() += 1;
    }
    let text = |(status, count): (Option<u16>, usize)| match status {
        Some(status) => format!("{status}: {count}"),
        None => format!("none: {count}"),
    };
    counts.into_iter().map(text).collect::<Vec<_>>().join(", ")
}
