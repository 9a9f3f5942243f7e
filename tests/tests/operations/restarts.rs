//! Every process is restarted under load while a second instance serves on its port: what callers notice of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use devstack::platform::PROGRAMS;
use reqwest::Method;
use serde_json::json;
use system_tests::{Client, Export, ExportShape, GENEROUS_SETTINGS, start_platform_with};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use uuid::Uuid;

const CALLERS_OF_A_KIND: usize = 2;
/// As long as it takes until every caller has a connection and is in the middle of its work.
const UNDER_WAY: Duration = Duration::from_millis(500);
const READY_WITHIN: Duration = Duration::from_secs(60);
const SHAPE: ExportShape = ExportShape {
    bookmarks: 50,
    folders: 2,
};
const SHARED_PORTS: [(&str, &str); 7] = [
    ("EDGE_SETTINGS", GENEROUS_SETTINGS),
    ("EDGE_REUSE_PORT", "true"),
    ("AUTH_REUSE_PORT", "true"),
    ("BOOKMARKS_REUSE_PORT", "true"),
    ("IMPORT_REUSE_PORT", "true"),
    ("TASK_REUSE_PORT", "true"),
    ("ENRICH_REUSE_PORT", "true"),
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_fails_while_each_process_in_turn_is_restarted_under_load() -> Result<()> {
    let platform = start_platform_with(&SHARED_PORTS).await?;
    let client = Client::register(&platform.edge_url(), "restarts@example.com").await?;
    let calls = calls(&client).await?;
    let mut failed = Vec::new();

    for program in PROGRAMS {
        let second = platform.start_second(program.name)?;
        let load = Load::begin(&client, &calls);
        sleep(UNDER_WAY).await;
        ensure!(platform.stop_process(program.name)?.success(), "{}", program.name);
        sleep(UNDER_WAY).await;
        platform.restart(program.name)?;
        wait_until_ready(&platform.admin_address(program.name)).await?;
        ensure!(second.stop()?.success(), "the second {}", program.name);
        sleep(UNDER_WAY).await;

        for (call, outcome) in load.end().await? {
            ensure!(outcome.answered > 0, "{call} was never answered");
            failed.extend(
                outcome
                    .failures
                    .into_iter()
                    .map(|why| format!("{}: {call}: {why}", program.name)),
            );
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    platform.stop().await;
    Ok(())
}

/// Its own word: on the port that it shares, the other instance would answer for it.
async fn wait_until_ready(admin_address: &str) -> Result<()> {
    let admin = Client::anonymous(admin_address);
    let start = Instant::now();
    while !admin.get("/health/ready").await.is_ok_and(|ready| ready.status == 200) {
        ensure!(start.elapsed() < READY_WITHIN, "{admin_address} is not ready");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// One call for each service, and a create that is named, so that it can be sent again.
async fn calls(client: &Client) -> Result<Vec<String>> {
    let import = client.upload(Export::generate("restarts", SHAPE).html).await?;
    let (id, task) = (import["id"].as_str(), import["taskId"].as_str());
    Ok(vec![
        "GET /v1/users/me".to_owned(),
        "GET /v1/bookmarks?pageSize=5".to_owned(),
        format!("GET /v1/imports/{}", id.unwrap_or_default()),
        format!("GET /v1/tasks/{}", task.unwrap_or_default()),
        "POST /v1/bookmarks".to_owned(),
    ])
}

/// What became of one kind of call.
#[derive(Default)]
struct Outcome {
    answered: usize,
    failures: Vec<String>,
}

/// Callers of each kind, each with one call after the other.
struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<(String, JoinHandle<Outcome>)>,
}

impl Load {
    fn begin(client: &Client, calls: &[String]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let callers = calls.iter().cycle().take(calls.len() * CALLERS_OF_A_KIND).map(|call| {
            let caller = call_until(Arc::clone(&stop), client.clone(), call.clone());
            (call.clone(), tokio::spawn(caller))
        });
        Self {
            callers: callers.collect(),
            stop,
        }
    }

    async fn end(self) -> Result<BTreeMap<String, Outcome>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut outcomes: BTreeMap<String, Outcome> = BTreeMap::new();
        for (call, caller) in self.callers {
            let Outcome { answered, failures } = caller.await?;
            let outcome = outcomes.entry(call).or_default();
            outcome.answered += answered;
            outcome.failures.extend(failures);
        }
        Ok(outcomes)
    }
}

async fn call_until(stop: Arc<AtomicBool>, client: Client, call: String) -> Outcome {
    let mut outcome = Outcome::default();
    while !stop.load(Ordering::Relaxed) {
        match send(&client, &call).await {
            Ok(()) => outcome.answered += 1,
            Err(error) => outcome.failures.push(format!("{error:#}")),
        }
        sleep(Duration::from_millis(10)).await;
    }
    outcome
}

async fn send(client: &Client, call: &str) -> Result<()> {
    let (method, path) = call.split_once(' ').unwrap_or_default();
    let request = client.request(method.parse::<Method>()?, path);
    let request = match method {
        "POST" => {
            let key = Uuid::now_v7();
            let bookmark = json!({"url": format!("https://example.com/{key}"), "title": "Saved under way"});
            request.header("idempotency-key", format!("\"{key}\"")).json(&bookmark)
        }
        _ => request,
    };
    let answer = client.send(request).await?;
    ensure!(matches!(answer.status, 200 | 201), "{} {}", answer.status, answer.body);
    Ok(())
}
