//! The run: each call against each server in turn, several times over, so that the machine's moods fall on all of them.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use devstack::{Devstack, Ports};
use serde_json::{Value, json};
use system_tests::{
    GENEROUS_SETTINGS,
    load::{Load, Outcome, at_rate, request, saturate},
    report::{Median, machine, mebibytes, milliseconds, table},
};

use crate::{
    children::{self, Folder, Process},
    envoy, messages,
};

const ROUNDS: usize = 3;
const WARM_UP: Duration = Duration::from_secs(1);
const DURATION: Duration = Duration::from_secs(4);
const CONNECTIONS: [usize; 2] = [32, 64];
/// Requests per second of the open loop.
const RATES: [f64; 2] = [4_000.0, 15_000.0];
/// What stays in memory is read after so many minutes in which every call has its turn.
const SOAK_MINUTES: u32 = 10;

/// One of the servers that are compared.
struct Server {
    name: &'static str,
    process: Process,
}

struct Call {
    name: &'static str,
    expected_status: u16,
    method: &'static str,
    path: String,
    body: Value,
    headers: &'static str,
}

/// Measures what the filters name (words of calls or servers), or everything. `binaries` is cargo's folder of a profile.
pub fn run(binaries: &Path, filters: &[&str]) -> Result<()> {
    let folder = Folder::new()?;
    let folder = folder.0.as_path();
    let (envoy, words): (Vec<&str>, Vec<&str>) = filters.iter().partition(|word| word.starts_with("--envoy="));
    let envoy = envoy
        .first()
        .map(|word| PathBuf::from(word.trim_start_matches("--envoy=")));
    let stores = children::runtime()?.block_on(Devstack::start_temporary(Ports::default()))?;
    let service = Process::of_own(&["answering", &folder.to_string_lossy()])?;
    let mut servers = start_servers(binaries, folder, &stores, service.port, envoy.as_deref())?;
    let calls = calls();
    let named = |name: &str| words.contains(&name);
    let is_only_soak = words == ["soak"];
    let any_server = servers.iter().any(|server| named(server.name));
    servers.retain(|server| !any_server || named(server.name));
    let any_call = is_only_soak || calls.iter().any(|call| named(call.name));
    let token = fs::read_to_string(folder.join("token")).context("reading the token")?;

    machine(binaries);
    start(&servers)?;
    for call in calls.iter().filter(|call| !any_call || named(call.name)) {
        saturation(call, &servers, &token)?;
        rates(call, &servers, &token)?;
    }
    memory(&servers)?;
    if words.is_empty() || named("soak") {
        soak(&calls, &servers, &token)?;
    }
    Ok(())
}

fn calls() -> Vec<Call> {
    let call = |name, expected_status, method, path: &str| Call {
        name,
        expected_status,
        method,
        path: path.to_owned(),
        body: Value::Null,
        headers: "",
    };
    let one = format!("/v1/bookmarks/{}", messages::ID);
    vec![
        // Each goes to the service, as every call of Envoy does.
        Call {
            headers: "cache-control: no-cache\r\n",
            ..call("get", 200, "GET", &one)
        },
        // The edge may answer this one out of what it keeps.
        call("kept", 200, "GET", &one),
        Call {
            headers: "if-none-match: \"117\"\r\n",
            ..call("unchanged", 304, "GET", &one)
        },
        call("list", 200, "GET", "/v1/bookmarks?pageSize=20"),
        Call {
            body: json!({"url": "https://example.com/", "title": "A link that someone saves", "tags": ["reading"]}),
            ..call("create", 201, "POST", "/v1/bookmarks")
        },
    ]
}

fn start_servers(
    binaries: &Path,
    folder: &Path,
    stores: &Devstack,
    upstream: u16,
    envoy: Option<&Path>,
) -> Result<Vec<Server>> {
    let server = |name, process| Server { name, process };
    let mut servers = vec![
        server("edge", start_edge(binaries, folder, stores, upstream)?),
        server("actix", Process::of_own(&["ceiling"])?),
    ];
    if let Some(binary) = envoy {
        servers.insert(
            1,
            server("envoy", envoy::start(binary, folder, upstream, free_port()?)?),
        );
    }
    Ok(servers)
}

fn start_edge(binaries: &Path, folder: &Path, stores: &Devstack, upstream: u16) -> Result<Process> {
    let port = free_port()?;
    let mut command = Command::new(binaries.join("edge-gateway"));
    command
        .env("EDGE_LISTEN", format!("127.0.0.1:{port}"))
        .env("EDGE_ADMIN_LISTEN", format!("127.0.0.1:{}", free_port()?))
        .env("EDGE_SETTINGS", GENEROUS_SETTINGS)
        .env("BOOKMESH_REDIS_URL", stores.redis_url())
        .env("BOOKMESH_NATS_URL", stores.nats_url())
        .env("EDGE_SERVICE_KEY", folder.join("service.pem"))
        .env("BOOKMESH_SERVICE_KEYS", folder.join("services.jwks.json"));
    for package in ["AUTH", "BOOKMARKS", "IMPORT", "TASK", "ENRICH"] {
        command.env(
            format!("BOOKMESH_{package}_ADDRESS"),
            format!("http://127.0.0.1:{upstream}"),
        );
    }
    Process::of_server(&mut command, port, "/health/ready", &folder.join("edge.log"))
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

fn load(call: &Call, server: &Server, token: &str, connections: usize) -> Load {
    let address = format!("127.0.0.1:{}", server.process.port);
    let bytes = request(call.method, &address, &call.path, token, &call.body);
    let text = String::from_utf8_lossy(&bytes).replacen("\r\n", &format!("\r\n{}", call.headers), 1);
    let bytes = Bytes::from(text);
    Load {
        address,
        connections,
        duration: DURATION,
        request: Arc::new(move |_| bytes.clone()),
        expected_status: expected_status(call, server.name),
    }
}

/// Envoy has no 201 and no 304, and the bare server says 200 to everything.
fn expected_status(call: &Call, server: &str) -> u16 {
    if server == "edge" { call.expected_status } else { 200 }
}

/// What one server did in the rounds of one load.
#[derive(Default)]
struct Samples {
    rates: Vec<f64>,
    costs: Vec<f64>,
    quantiles: [Vec<f64>; 3],
}

impl Samples {
    fn of_rounds(loads: &[(Load, &Server)], drive: impl Fn(&Load) -> Result<Outcome>) -> Result<Vec<Samples>> {
        let mut samples: Vec<Samples> = loads.iter().map(|_| Samples::default()).collect();
        for (load, _) in loads {
            drive(&Load {
                duration: WARM_UP,
                ..load.clone()
            })?;
        }
        for _ in 0..ROUNDS {
            for ((load, server), samples) in loads.iter().zip(&mut samples) {
                let before = server.process.usage()?.cpu;
                let outcome = drive(load).with_context(|| format!("load on {}", server.name))?;
                let cpu = server.process.usage()?.cpu.saturating_sub(before);
                samples.add(&outcome, cpu);
            }
        }
        Ok(samples)
    }

    fn add(&mut self, outcome: &Outcome, cpu: Duration) {
        self.rates.push(outcome.rate());
        self.costs.push(cpu.as_secs_f64() * 1e6 / outcome.requests as f64);
        for (quantiles, share) in self.quantiles.iter_mut().zip([0.5, 0.99, 0.999]) {
            quantiles.push(milliseconds(outcome.quantile(share)));
        }
    }

    fn row(self, server: &Server) -> Vec<String> {
        let text = |values, digits| Median::of(values).text(digits);
        let mut row = vec![server.name.to_owned(), text(self.rates, 0), text(self.costs, 1)];
        row.extend(self.quantiles.map(|quantile| text(quantile, 3)));
        row
    }
}

const COLUMNS: [&str; 6] = ["server", "requests/s", "CPU µs/request", "P50 ms", "P99 ms", "P99.9 ms"];

fn saturation(call: &Call, servers: &[Server], token: &str) -> Result<()> {
    for connections in CONNECTIONS {
        let loads: Vec<_> = servers
            .iter()
            .map(|server| (load(call, server, token, connections), server))
            .collect();
        let samples = Samples::of_rounds(&loads, saturate)?;
        let rows: Vec<_> = samples
            .into_iter()
            .zip(servers)
            .map(|(samples, server)| samples.row(server))
            .collect();
        table(
            &format!("{}, {connections} connections, as fast as answered", call.name),
            &COLUMNS,
            &rows,
        );
    }
    Ok(())
}

fn rates(call: &Call, servers: &[Server], token: &str) -> Result<()> {
    for rate in RATES {
        let loads: Vec<_> = servers
            .iter()
            .map(|server| (load(call, server, token, CONNECTIONS[0]), server))
            .collect();
        let samples = Samples::of_rounds(&loads, |load| at_rate(load, rate))?;
        let rows: Vec<_> = samples
            .into_iter()
            .zip(servers)
            .map(|(samples, server)| samples.row(server))
            .collect();
        table(&format!("{}, {rate:.0} requests/s", call.name), &COLUMNS, &rows);
    }
    Ok(())
}

fn start(servers: &[Server]) -> Result<()> {
    let mut rows = Vec::new();
    for server in servers {
        let idle = mebibytes(server.process.usage()?.memory_bytes);
        let ready = format!("{:.0}", milliseconds(server.process.started_in));
        rows.push(vec![server.name.to_owned(), ready, idle]);
    }
    table("Start", &["server", "start to ready, ms", "memory, MiB"], &rows);
    Ok(())
}

fn memory(servers: &[Server]) -> Result<()> {
    let mut rows = Vec::new();
    for server in servers {
        let usage = server.process.usage()?;
        rows.push(vec![
            server.name.to_owned(),
            mebibytes(usage.memory_bytes),
            mebibytes(usage.peak_memory_bytes),
        ]);
    }
    table("Memory after the load, MiB", &["server", "now", "peak"], &rows);
    Ok(())
}

/// The edge alone, under all it can take: whether its memory stands still.
fn soak(calls: &[Call], servers: &[Server], token: &str) -> Result<()> {
    let Some(edge) = servers.iter().find(|server| server.name == "edge") else {
        return Ok(());
    };
    let turn = Duration::from_secs(60) / u32::try_from(calls.len())?;
    let mut rows = Vec::new();
    for minute in 1..=SOAK_MINUTES {
        let mut requests = 0;
        for call in calls {
            let load = Load {
                duration: turn,
                ..load(call, edge, token, CONNECTIONS[0])
            };
            requests += saturate(&load)?.requests;
        }
        let usage = edge.process.usage()?;
        let (now, peak) = (mebibytes(usage.memory_bytes), mebibytes(usage.peak_memory_bytes));
        rows.push(vec![minute.to_string(), requests.to_string(), now, peak]);
    }
    let columns = ["after minutes", "requests of the last", "memory, MiB", "peak"];
    table("The edge, every call in turn, as fast as answered", &columns, &rows);
    Ok(())
}
