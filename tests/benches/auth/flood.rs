//! A minute of 500 log-ins a second, which is more than any two cores can hash, while one person logs in from a known device.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bookmesh_proto::auth::v1::CreateSessionRequest;
use system_tests::{
    PASSWORD,
    report::{milliseconds, table},
};
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tonic::Code;

use crate::{
    accounts::{AuthClient, address_of, connect, from, log_in, register},
    memory, platform,
};

const MINUTE: Duration = Duration::from_secs(60);
const PER_SECOND: u32 = 500;
const PEOPLE: usize = 1_000;
const OWNER: usize = PEOPLE;
/// From here on numbers are nobody's.
const STRANGERS: usize = 100_000;

type Answers = Arc<Mutex<BTreeMap<String, Vec<Duration>>>>;

pub async fn measure(binaries: &Path) -> Result<()> {
    let platform = platform(binaries, "").await?;
    let client = connect(&platform).await?;
    register(&client, PEOPLE + 1).await?;
    let device_token = log_in(&mut client.clone(), OWNER, PASSWORD)
        .await
        .context("the owner's first log-in")?
        .device_token;
    memory(&platform, "Before the flood")?;

    let owner = tokio::spawn(log_in_every_second(client.clone(), device_token));
    let answers = flood(&client).await?;
    let of_owner = owner.await?;

    report("What the flood was answered", &answers);
    report("What the owner was answered, from a known device", &of_owner);
    memory(&platform, "After the flood")?;
    platform.stop().await;
    Ok(())
}

/// Half of them with the right password, which costs the most, and half at addresses that nobody has, from a network each: no
/// limit but the queue is in their way.
async fn flood(client: &AuthClient) -> Result<BTreeMap<String, Vec<Duration>>> {
    let answers = Answers::default();
    let mut calls = JoinSet::new();
    let mut ticks = interval(Duration::from_secs(1) / PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let started = Instant::now();
    for number in 0.. {
        ticks.tick().await;
        if started.elapsed() > MINUTE {
            break;
        }
        let (mut client, answers) = (client.clone(), Arc::clone(&answers));
        calls.spawn(async move {
            let person = if number % 2 == 0 {
                number % PEOPLE
            } else {
                STRANGERS + number
            };
            let sent = Instant::now();
            let answer = log_in(&mut client, person, PASSWORD).await;
            note(&answers, answer.err().map(|status| status.code()), sent.elapsed()).await;
        });
        while calls.try_join_next().is_some() {}
    }
    while calls.join_next().await.is_some() {}
    let answers = answers.lock().await;
    Ok(answers.clone())
}

async fn log_in_every_second(mut client: AuthClient, device_token: String) -> BTreeMap<String, Vec<Duration>> {
    let answers = Answers::default();
    let started = Instant::now();
    while started.elapsed() < MINUTE {
        let request = CreateSessionRequest {
            email: address_of(OWNER),
            password: PASSWORD.to_owned(),
            device_token: device_token.clone(),
        };
        let sent = Instant::now();
        let answer = client.create_session(from(request, OWNER)).await;
        note(&answers, answer.err().map(|status| status.code()), sent.elapsed()).await;
        sleep(Duration::from_secs(1)).await;
    }
    let answers = answers.lock().await;
    answers.clone()
}

async fn note(answers: &Answers, refused_with: Option<Code>, took: Duration) {
    let name = refused_with.map_or_else(|| "logged in".to_owned(), |code| format!("{code:?}"));
    answers.lock().await.entry(name).or_default().push(took);
}

fn report(title: &str, answers: &BTreeMap<String, Vec<Duration>>) {
    let rows: Vec<Vec<String>> = answers
        .iter()
        .map(|(name, took)| {
            let mut sorted = took.clone();
            sorted.sort_unstable();
            let quantile = |share: f64| {
                let index = (sorted.len() as f64 * share) as usize;
                format!("{:.0}", milliseconds(sorted[index.min(sorted.len() - 1)]))
            };
            vec![
                name.clone(),
                took.len().to_string(),
                quantile(0.5),
                quantile(0.99),
                quantile(1.0),
            ]
        })
        .collect();
    table(title, &["answer", "times", "P50 ms", "P99 ms", "longest"], &rows);
}
