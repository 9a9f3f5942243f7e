//! Redis stopped, killed, restarted: limits go on by what each edge knows, never wide open and never closed.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use system_tests::report::{milliseconds, table};
use tokio::time::{Instant, sleep};

use crate::{
    answering::Pace,
    bounds::Bounds,
    calls::{Calls, READ, SEARCH},
    edge::{Edge, Setting, memory, shown, signal},
    traffic::{Sample, Traffic, good_percent, of_kind, quantile, within},
};

const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/faults/limited.toml");
/// What the settings say of a user's searches.
const SEARCHES_PER_SECOND: f64 = 30.0;
/// As many reads as searches.
const RATE: f64 = 160.0;
const BEFORE: Duration = Duration::from_secs(4);
const HARMED: Duration = Duration::from_secs(5);
const RECOVERY: Duration = Duration::from_secs(15);
const CALM: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);
/// A request waits at most so long for Redis.
const WAIT_MS: f64 = 5.0;
const LINKED_WORKERS: &str = "edge_limit_linked_workers";

#[derive(Clone, Copy)]
enum Harm {
    Stopped,
    Killed,
    Restarted,
}

impl Harm {
    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped for 5 s",
            Self::Killed => "killed, back after 5 s",
            Self::Restarted => "restarted",
        }
    }

    fn begin(self, setting: &Setting) -> Result<()> {
        match self {
            Self::Stopped => signal(setting.redis(), "STOP"),
            Self::Killed => setting.stores.kill_redis(),
            Self::Restarted => {
                setting.stores.kill_redis()?;
                setting.stores.start_redis()
            }
        }
    }

    fn end(self, setting: &Setting) -> Result<()> {
        match self {
            Self::Stopped => signal(setting.redis(), "CONT"),
            Self::Killed => setting.stores.start_redis(),
            Self::Restarted => Ok(()),
        }
    }

    fn lasts(self) -> Duration {
        match self {
            Self::Stopped | Self::Killed => HARMED,
            Self::Restarted => Duration::ZERO,
        }
    }
}

/// Harms Redis in each way, under an edge of its own.
pub async fn run(setting: &Setting, bounds: &mut Bounds) -> Result<()> {
    let mut rows = Vec::new();
    for harm in [Harm::Stopped, Harm::Killed, Harm::Restarted] {
        rows.push(harm_once(setting, bounds, harm).await?);
    }
    let title = format!(
        "Redis harmed, {RATE:.0} requests/s: as many reads as searches of a user who has {SEARCHES_PER_SECOND:.0}/s"
    );
    let columns = [
        "Redis",
        "good reads %",
        "P50 before, ms",
        "P50",
        "P99 before, ms",
        "P99",
        "searches/s before",
        "searches/s",
        "asked again after, s",
        "edge before, MiB",
        "after",
    ];
    table(&title, &columns, &rows);
    Ok(())
}

async fn harm_once(setting: &Setting, bounds: &mut Bounds, harm: Harm) -> Result<Vec<String>> {
    let service = setting.service(0, Pace::FREE)?;
    let edge = setting.edge(service.port, Path::new(SETTINGS))?;
    let calls = Calls::new(setting, edge.address())?;
    let began = Instant::now();
    let traffic = Traffic::begin(edge.address(), vec![calls.read(), calls.search()], RATE).await?;
    sleep(BEFORE).await;
    let linked = edge.figure(LINKED_WORKERS).await?;
    ensure!(linked > 0.0, "no worker has asked Redis");

    let harmed = Instant::now();
    harm.begin(setting)?;
    sleep(harm.lasts()).await;
    harm.end(setting)?;
    let mended = Instant::now();
    let back = until_linked(&edge, linked).await?;
    // However short it was, what callers have seen of it is in this time.
    sleep((harmed + HARMED).saturating_duration_since(Instant::now())).await;
    let until = mended.max(harmed + HARMED);

    let memory = memory(edge.memory_before, edge.usage()?.memory_bytes);
    let samples = traffic.end().await?;
    // The bucket was full at first.
    let before = Seen::of(&samples, began + BEFORE / 2, harmed);
    let during = Seen::of(&samples, harmed, until);
    check(bounds, harm, &before, &during, back);
    let mut row = vec![harm.name().to_owned(), format!("{:.2}", during.good_reads)];
    row.extend([before.p50, during.p50, before.p99, during.p99].map(shown));
    row.extend([before.searches_per_second, during.searches_per_second].map(|rate| format!("{rate:.1}")));
    row.push(format!("{:.2}", back.as_secs_f64()));
    row.extend(memory);
    Ok(row)
}

/// What callers saw for some time.
struct Seen {
    good_reads: f64,
    p50: Duration,
    p99: Duration,
    searches_per_second: f64,
}

impl Seen {
    fn of(samples: &[Sample], from: Instant, until: Instant) -> Self {
        let samples = within(samples, from, until);
        let reads = of_kind(&samples, READ);
        let searches = of_kind(&samples, SEARCH);
        let good = searches.iter().filter(|sample| sample.is_good()).count();
        Self {
            good_reads: good_percent(&reads),
            p50: quantile(&reads, 0.5),
            p99: quantile(&reads, 0.99),
            searches_per_second: good as f64 / (until - from).as_secs_f64(),
        }
    }
}

fn check(bounds: &mut Bounds, harm: Harm, before: &Seen, during: &Seen, back: Duration) {
    let name = format!("Redis {}", harm.name());
    let longer = milliseconds(during.p50) - milliseconds(before.p50);
    bounds.at_least(&format!("{name}: good reads, %"), during.good_reads, 99.9);
    bounds.at_most(&format!("{name}: P50 above that before, ms"), longer, WAIT_MS);
    let share = during.searches_per_second / SEARCHES_PER_SECOND;
    bounds.at_least(&format!("{name}: searches let through, of their limit"), share, 0.7);
    bounds.at_most(&format!("{name}: searches let through, of their limit"), share, 1.5);
    bounds.at_most(&format!("{name}: asked again after, s"), back.as_secs_f64(), 5.0);
}

/// The last moment at which fewer workers asked Redis than before; a worker may notice late that a connection is gone.
async fn until_linked(edge: &Edge, linked: f64) -> Result<Duration> {
    let (start, mut last_missing) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < (last_missing + CALM).min(RECOVERY) {
        if edge.figure(LINKED_WORKERS).await? < linked {
            last_missing = start.elapsed();
        }
        sleep(POLL).await;
    }
    Ok(last_missing)
}
