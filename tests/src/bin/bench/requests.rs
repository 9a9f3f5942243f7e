//! Requests per second, latencies and CPU of the four calls that people make most.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use devstack::platform::Platform;
use serde_json::{Value, json};
use system_tests::{
    Client, Export, ExportShape,
    load::{Load, MakeRequest, Outcome, at_rate, request, saturate},
    report::{Median, milliseconds, table},
};

use crate::{PROCESSES, usage_of};

const RUNS: usize = 3;
const CONNECTIONS: usize = 32;
const DURATION: Duration = Duration::from_secs(5);
const SHARE_OF_PEAK: f64 = 0.3;
const WRITERS: usize = 16;
const SHAPE: ExportShape = ExportShape {
    bookmarks: 100_000,
    folders: 3_000,
};

/// A reader with 100k bookmarks, and some writers, since one owner's writes wait for each other.
pub struct Accounts {
    reader: Client,
    bookmark_id: String,
    writers: Vec<Client>,
}

impl Accounts {
    /// Registers them and imports the reader's bookmarks.
    pub async fn register(edge: &str) -> Result<Self> {
        let reader = Client::register(edge, "reader@example.com").await?;
        let import = reader.upload(Export::generate("reader", SHAPE).html).await?;
        let id = import["id"].as_str().unwrap_or_default().to_owned();
        reader
            .wait_for_import(&id, Duration::from_secs(300), |import| import["state"] == "COMPLETED")
            .await?;
        let page = reader.get("/v1/bookmarks?pageSize=1").await?;
        let bookmark_id = page.body["bookmarks"][0]["id"].as_str().unwrap_or_default().to_owned();
        ensure!(!bookmark_id.is_empty(), "the reader has bookmarks");
        let mut writers = Vec::new();
        for number in 0..WRITERS {
            writers.push(Client::register(edge, &format!("writer{number}@example.com")).await?);
        }
        Ok(Self {
            reader,
            bookmark_id,
            writers,
        })
    }

    /// Access tokens live five minutes: a run begins with fresh ones.
    async fn renew(&mut self) -> Result<()> {
        self.reader = self.reader.log_in("reader@example.com").await?;
        for (number, writer) in self.writers.iter_mut().enumerate() {
            *writer = writer.log_in(&format!("writer{number}@example.com")).await?;
        }
        Ok(())
    }
}

struct Call {
    name: &'static str,
    expected_status: u16,
    request: MakeRequest,
}

/// Measures each call at saturation and at a moderate rate, and prints both.
pub async fn measure(platform: &Platform, accounts: &mut Accounts) -> Result<()> {
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for number in 0..4 {
        accounts.renew().await?;
        let call = calls(platform, accounts).swap_remove(number);
        let load = load_of(platform, &call);
        let (rate, cost) = at_saturation(platform, &load).await?;
        let latencies = at_moderate_rate(&load, rate.value * SHARE_OF_PEAK).await?;
        rates.push([vec![call.name.to_owned(), rate.text(0)], latencies].concat());
        costs.push([vec![call.name.to_owned()], cost].concat());
    }
    table(
        &format!(
            "Requests over {CONNECTIONS} connections, and latency at {:.0}% of that",
            SHARE_OF_PEAK * 100.0
        ),
        &["call", "requests/s", "P50 ms", "P99 ms", "P99.9 ms"],
        &rates,
    );
    table(
        "CPU at saturation, µs per request",
        &[["call"].as_slice(), &PROCESSES].concat(),
        &costs,
    );
    Ok(())
}

fn address(platform: &Platform) -> String {
    platform.edge_url().trim_start_matches("http://").to_owned()
}

fn load_of(platform: &Platform, call: &Call) -> Load {
    Load {
        address: address(platform),
        connections: CONNECTIONS,
        duration: DURATION,
        request: Arc::clone(&call.request),
        expected_status: call.expected_status,
    }
}

async fn at_saturation(platform: &Platform, load: &Load) -> Result<(Median, Vec<String>)> {
    let mut rates = Vec::new();
    let mut costs = vec![Vec::new(); PROCESSES.len()];
    for _ in 0..RUNS {
        let before = cpu_times(platform)?;
        let outcome = blocking(load, saturate).await?;
        rates.push(outcome.rate());
        for (cost, (after, before)) in costs.iter_mut().zip(cpu_times(platform)?.into_iter().zip(before)) {
            cost.push((after - before).as_secs_f64() * 1e6 / outcome.requests as f64);
        }
    }
    Ok((
        Median::of(rates),
        costs.into_iter().map(|cost| Median::of(cost).text(1)).collect(),
    ))
}

/// The load has threads of its own, and this one has the platform to look after.
async fn blocking(load: &Load, run: impl FnOnce(&Load) -> Result<Outcome> + Send + 'static) -> Result<Outcome> {
    let load = load.clone();
    tokio::task::spawn_blocking(move || run(&load)).await?
}

async fn at_moderate_rate(load: &Load, rate: f64) -> Result<Vec<String>> {
    let mut outcomes = Vec::new();
    for _ in 0..RUNS {
        outcomes.push(blocking(load, move |load| at_rate(load, rate)).await?);
    }
    let quantile = |share| {
        Median::of(
            outcomes
                .iter()
                .map(|run: &Outcome| milliseconds(run.quantile(share)))
                .collect(),
        )
    };
    Ok([0.5, 0.99, 0.999].map(|share| quantile(share).text(2)).to_vec())
}

fn cpu_times(platform: &Platform) -> Result<Vec<Duration>> {
    PROCESSES.iter().map(|name| Ok(usage_of(platform, name)?.cpu)).collect()
}

fn calls(platform: &Platform, accounts: &Accounts) -> Vec<Call> {
    let read = |path: String| -> MakeRequest {
        let bytes = request("GET", &address(platform), &path, accounts.reader.token(), &Value::Null);
        Arc::new(move |_| bytes.clone())
    };
    vec![
        Call {
            name: "GET one",
            expected_status: 200,
            request: read(format!("/v1/bookmarks/{}", accounts.bookmark_id)),
        },
        Call {
            name: "list 20",
            expected_status: 200,
            request: read("/v1/bookmarks?pageSize=20".to_owned()),
        },
        Call {
            name: "search",
            expected_status: 200,
            request: read("/v1/bookmarks?query=harbour+rust&pageSize=20".to_owned()),
        },
        Call {
            name: "create",
            expected_status: 201,
            request: create(platform, accounts),
        },
    ]
}

fn create(platform: &Platform, accounts: &Accounts) -> MakeRequest {
    let address = address(platform);
    let tokens: Vec<String> = accounts
        .writers
        .iter()
        .map(|writer| writer.token().to_owned())
        .collect();
    let created = AtomicUsize::new(0);
    Arc::new(move |_| {
        let number = created.fetch_add(1, Ordering::Relaxed);
        let bookmark = json!({
            "url": format!("https://example.com/created/{number}"),
            "title": "A link that someone saves",
            "tags": ["reading", "later"],
        });
        request(
            "POST",
            &address,
            "/v1/bookmarks",
            &tokens[number % tokens.len()],
            &bookmark,
        )
    })
}
