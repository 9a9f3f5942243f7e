//! A service stopped, killed, slow, half-open, resetting: callers are answered in time, at once when it is known, with what is
//! kept where the contract allows it, and as ever when the service is back.

use std::{path::Path, time::Duration};

use anyhow::Result;
use system_tests::report::{milliseconds, table};
use tokio::time::{Instant, sleep};

use crate::{
    answering::Pace,
    bounds::Bounds,
    calls::{Calls, KEPT, READ},
    children::Process,
    edge::{Setting, memory, shown, signal},
    gate::{Flow, Gate},
    traffic::{Sample, Traffic, good_percent, of_kind, of_status, quantile, statuses, within},
};

const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/faults/defaults.toml");
/// One read in so many is of what the edge has kept. Under what the defaults allow a user.
const KINDS: usize = 4;
const RATE: f64 = 80.0;
const BEFORE: Duration = Duration::from_secs(3);
/// The calls' deadline is 5 s, and then some: what is refused at once is looked at in the last two seconds.
const HARMED: Duration = Duration::from_secs(9);
const KNOWN: Duration = Duration::from_secs(7);
/// More than four fifths of the deadline: such answers are good, and count as slow.
const SLOW: Duration = Duration::from_millis(4_500);
const RECOVERY: Duration = Duration::from_secs(40);
/// It has recovered when callers have got nothing but good answers for so long.
const CALM: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(100);
/// A deadline of 5 s, and what a busy machine adds to it.
const LONGEST_WAIT_SECONDS: f64 = 6.0;
/// A breaker that has found the service still harmed once stays open for 12.5 s at most.
const RECOVERED_SECONDS: f64 = 15.0;
const AT_ONCE_MS: f64 = 5.0;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Harm {
    Stopped,
    Killed,
    Gate(&'static str, Flow),
}

const HARMS: [Harm; 5] = [
    Harm::Stopped,
    Harm::Killed,
    Harm::Gate("slow", Flow::Slow(SLOW)),
    Harm::Gate("half-open", Flow::HalfOpen),
    Harm::Gate("resetting", Flow::Resetting),
];

impl Harm {
    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Killed => "killed",
            Self::Gate(name, _) => name,
        }
    }
}

/// The service, and the gate that some harm is done at.
struct Harmed {
    service: Option<Process>,
    port: u16,
    gate: Gate,
}

impl Harmed {
    async fn start(setting: &Setting) -> Result<Self> {
        let service = setting.service(0, Pace::FREE)?;
        Ok(Self {
            port: service.port,
            gate: Gate::open(service.port).await?,
            service: Some(service),
        })
    }

    fn upstream(&self, harm: Harm) -> u16 {
        match harm {
            Harm::Stopped | Harm::Killed => self.port,
            Harm::Gate(..) => self.gate.port,
        }
    }

    fn begin(&mut self, harm: Harm) -> Result<()> {
        match (harm, &self.service) {
            (Harm::Stopped, Some(service)) => signal(service.id(), "STOP")?,
            (Harm::Stopped | Harm::Killed, _) => self.service = None,
            (Harm::Gate(_, flow), _) => self.gate.set(flow),
        }
        Ok(())
    }

    fn end(&mut self, harm: Harm, setting: &Setting) -> Result<()> {
        match (harm, &self.service) {
            (Harm::Stopped, Some(service)) => signal(service.id(), "CONT")?,
            (Harm::Stopped | Harm::Killed, _) => self.service = Some(setting.service(self.port, Pace::FREE)?),
            (Harm::Gate(..), _) => self.gate.set(Flow::Pass),
        }
        Ok(())
    }
}

/// Harms a service in each way, behind an edge of its own.
pub async fn run(setting: &Setting, bounds: &mut Bounds) -> Result<()> {
    let mut rows = Vec::new();
    for harm in HARMS {
        rows.push(harm_once(setting, bounds, harm).await?);
    }
    let title = format!(
        "A service harmed for {} s, {RATE:.0} requests/s, each {KINDS}th for what the edge has kept",
        HARMED.as_secs()
    );
    let columns = [
        "service",
        "good before %",
        "good %",
        "of what is kept %",
        "good P50 before, ms",
        "P99 before",
        "refused P50, ms",
        "refused P99",
        "longest wait, s",
        "recovered after, s",
        "edge before, MiB",
        "after",
        "answers",
    ];
    table(&title, &columns, &rows);
    Ok(())
}

async fn harm_once(setting: &Setting, bounds: &mut Bounds, harm: Harm) -> Result<Vec<String>> {
    let mut harmed = Harmed::start(setting).await?;
    let edge = setting.edge(harmed.upstream(harm), Path::new(SETTINGS))?;
    let calls = Calls::new(setting, edge.address())?;
    let mut kinds = vec![calls.read(); KINDS - 1];
    kinds.push(calls.kept_read());
    let began = Instant::now();
    let traffic = Traffic::begin(edge.address(), kinds, RATE).await?;
    sleep(BEFORE).await;

    let begun = Instant::now();
    harmed.begin(harm)?;
    sleep(HARMED).await;
    let ended = Instant::now();
    harmed.end(harm, setting)?;
    let recovered = until_recovered(&traffic, ended).await;

    let memory = memory(edge.memory_before, edge.usage()?.memory_bytes);
    let samples = traffic.end().await?;
    let before = within(&samples, began, begun);
    let during = During::of(&samples, begun, ended);
    during.check(bounds, harm, recovered);
    let mut row = vec![harm.name().to_owned()];
    row.extend([good_percent(&before), during.good, during.good_kept].map(|percent| format!("{percent:.1}")));
    row.extend([quantile(&before, 0.5), quantile(&before, 0.99)].map(shown));
    row.extend([quantile(&during.refused, 0.5), quantile(&during.refused, 0.99)].map(shown));
    row.extend([during.longest, recovered].map(|time| format!("{:.1}", time.as_secs_f64())));
    row.extend(memory);
    row.push(statuses(&during.all));
    Ok(row)
}

/// What callers saw who came while the service was harmed.
struct During {
    all: Vec<Sample>,
    good: f64,
    good_kept: f64,
    /// By when the edge had to know.
    refused: Vec<Sample>,
    longest: Duration,
}

impl During {
    fn of(samples: &[Sample], from: Instant, until: Instant) -> Self {
        let all = within(samples, from, until);
        let known = of_kind(&within(samples, from + KNOWN, until), READ);
        Self {
            good: good_percent(&of_kind(&all, READ)),
            good_kept: good_percent(&of_kind(&all, KEPT)),
            refused: of_status(&known, 503),
            longest: quantile(&all, 1.0),
            all,
        }
    }

    fn check(&self, bounds: &mut Bounds, harm: Harm, recovered: Duration) {
        let name = format!("service {}", harm.name());
        let is_answer = |sample: &&Sample| sample.is_good() || matches!(sample.status, Some(503 | 504));
        let strange = self.all.len() - self.all.iter().filter(is_answer).count();
        let refused_ms = milliseconds(quantile(&self.refused, 0.5));
        bounds.at_most(
            &format!("{name}: answers other than 2xx, 503 and 504"),
            strange as f64,
            0.0,
        );
        bounds.at_least(
            &format!("{name}: good answers to what is kept, %"),
            self.good_kept,
            100.0,
        );
        bounds.at_most(
            &format!("{name}: longest wait, s"),
            self.longest.as_secs_f64(),
            LONGEST_WAIT_SECONDS,
        );
        bounds.at_least(
            &format!("{name}: refused when it is known"),
            self.refused.len() as f64,
            1.0,
        );
        bounds.at_most(&format!("{name}: P50 of these, ms"), refused_ms, AT_ONCE_MS);
        bounds.at_most(
            &format!("{name}: recovered after, s"),
            recovered.as_secs_f64(),
            RECOVERED_SECONDS,
        );
    }
}

/// From the end of the harm until whoever came got a good answer.
async fn until_recovered(traffic: &Traffic, ended: Instant) -> Duration {
    loop {
        sleep(POLL).await;
        let now = Instant::now();
        let later = within(&traffic.samples(), ended, now);
        let last_bad = later
            .iter()
            .filter(|sample| !sample.is_good())
            .map(|sample| sample.due)
            .max();
        let recovered = last_bad.map_or(Duration::ZERO, |due| due - ended);
        // Callers who wait have no answer to look at.
        let is_answered = (traffic.under_way() as f64) < RATE / 4.0;
        let is_calm = is_answered && now > ended + recovered + CALM;
        if is_calm || now > ended + RECOVERY {
            return recovered;
        }
    }
}
