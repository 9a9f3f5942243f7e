//! Three times as many requests as the service behind the edge can answer, for a minute.

use std::{path::Path, time::Duration};

use anyhow::Result;
use system_tests::{
    GENEROUS_SETTINGS,
    report::{mebibytes, milliseconds, table},
};
use tokio::time::{Instant, sleep};

use crate::{
    answering::Pace,
    bounds::Bounds,
    calls::{CREATE, Calls, READ, SEARCH},
    edge::{Setting, shown},
    traffic::{Sample, Traffic, good_percent, of_kind, of_status, quantile, saturate, statuses, within},
};

/// Some 400 calls a second: what the machine does besides is little beside that, even without optimisation.
const PACE: Pace = Pace {
    at_once: 4,
    work: Duration::from_millis(10),
};
const CONNECTIONS: usize = 16;
const PEAK: Duration = Duration::from_secs(6);
const TIMES: f64 = 3.0;
const OVERLOAD: Duration = Duration::from_secs(60);
/// By then memory has what it needs, and limits have been found.
const SETTLED: Duration = Duration::from_secs(10);

/// Finds out how much the service can do through the edge, and asks three times as much.
pub async fn run(setting: &Setting, bounds: &mut Bounds) -> Result<()> {
    let service = setting.service(0, PACE)?;
    let edge = setting.edge(service.port, Path::new(GENEROUS_SETTINGS))?;
    let calls = Calls::new(setting, edge.address())?;
    let kinds = vec![calls.read(), calls.search(), calls.create()];
    let at_peak = saturate(&edge.address(), &kinds, CONNECTIONS, PEAK).await;
    let peak = good_per_second(&at_peak, PEAK);

    let traffic = Traffic::begin(edge.address(), kinds, peak * TIMES).await?;
    let start = Instant::now();
    sleep(SETTLED).await;
    let settled = edge.usage()?.memory_bytes;
    sleep(OVERLOAD.saturating_sub(SETTLED)).await;
    let (end, last) = (Instant::now(), edge.usage()?.memory_bytes);
    let samples = within(&traffic.end().await?, start, end);

    let goodput = good_per_second(&samples, end - start);
    let refused = of_status(&samples, 503);
    rates(&at_peak, &samples, peak, goodput);
    classes(&samples);
    let megabytes = [edge.memory_before, settled, last].map(mebibytes).to_vec();
    table(
        "Memory of the edge, MiB",
        &["idle", "after 10 s of overload", "after a minute"],
        &[megabytes],
    );

    let growth = last as f64 / settled.max(1) as f64;
    bounds.at_least("overload: good answers/s, of the peak", goodput / peak, 0.8);
    bounds.at_most("overload: memory, of that after 10 s", growth, 1.25);
    bounds.at_most(
        "overload: P50 of refusals, ms",
        milliseconds(quantile(&refused, 0.5)),
        5.0,
    );
    check_order(bounds, &samples);
    Ok(())
}

fn good_per_second(samples: &[Sample], time: Duration) -> f64 {
    let good = samples.iter().filter(|sample| sample.is_good()).count();
    good as f64 / time.as_secs_f64()
}

fn rates(at_peak: &[Sample], samples: &[Sample], peak: f64, goodput: f64) {
    let row = |name: String, samples: &[Sample], good_per_second: f64, seconds: f64| {
        let good: Vec<Sample> = samples.iter().filter(|sample| sample.is_good()).copied().collect();
        let refused = of_status(samples, 503);
        let mut row = vec![name, format!("{:.0}", samples.len() as f64 / seconds)];
        row.extend([
            format!("{good_per_second:.0}"),
            format!("{:.2}", good_per_second / peak),
        ]);
        row.extend([quantile(&good, 0.5), quantile(&good, 0.99)].map(shown));
        row.extend([quantile(&refused, 0.5), quantile(&refused, 0.99)].map(shown));
        row.push(statuses(samples));
        row
    };
    let rows = [
        row(
            format!("{CONNECTIONS} connections, as fast as answered"),
            at_peak,
            peak,
            PEAK.as_secs_f64(),
        ),
        row(
            format!("{TIMES:.0} times as much"),
            samples,
            goodput,
            OVERLOAD.as_secs_f64(),
        ),
    ];
    let columns = [
        "load",
        "requests/s",
        "good/s",
        "of the peak",
        "good P50, ms",
        "P99",
        "refused P50, ms",
        "P99",
        "answers",
    ];
    table("Overload for a minute", &columns, &rows);
}

fn classes(samples: &[Sample]) {
    let row = |name: &str| {
        let of_class = of_kind(samples, name);
        let good = format!("{:.1}", good_percent(&of_class));
        vec![name.to_owned(), of_class.len().to_string(), good, statuses(&of_class)]
    };
    let rows = [READ, CREATE, SEARCH].map(row);
    table(
        "Overload, by what was asked",
        &["", "requests", "good %", "answers"],
        &rows,
    );
}

/// Searches are refused first, then writes, then reads.
fn check_order(bounds: &mut Bounds, samples: &[Sample]) {
    let [reads, writes, searches] = [READ, CREATE, SEARCH].map(|kind| good_percent(&of_kind(samples, kind)));
    bounds.at_least("overload: good reads less good writes, %", reads - writes, 0.0);
    bounds.at_least("overload: good writes less good searches, %", writes - searches, 0.0);
}
