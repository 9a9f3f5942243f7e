//! Log-ins at two costs, refreshes and JWKS, as many as are answered.

use std::{
    future::Future,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use bookmesh_proto::auth::v1::{GetJwksRequest, RefreshSessionRequest};
use devstack::platform::Platform;
use futures::future::try_join_all;
use system_tests::{
    PASSWORD,
    report::{Median, table},
};
use tokio::sync::Mutex;

use crate::{
    accounts::{AuthClient, connect, from, log_in, register},
    memory, platform, usage_of,
};

const ROUNDS: usize = 3;
const DURATION: Duration = Duration::from_secs(8);
const PEOPLE: usize = 16;
/// Ours, and Keycloak's, by the names of `AUTH_HASHING_COST`.
const COSTS: [&str; 2] = ["m=19456,t=2,p=1", "m=7168,t=5,p=1"];

/// Rates of a kind of call.
#[derive(Default)]
struct Rates {
    per_second: Vec<f64>,
    per_cpu_second: Vec<f64>,
}

pub async fn measure(binaries: &Path) -> Result<()> {
    let mut rows = Vec::new();
    for cost in COSTS {
        let platform = platform(binaries, cost).await?;
        let client = connect(&platform).await?;
        if rows.is_empty() {
            memory(&platform, "Idle")?;
        }
        register(&client, PEOPLE).await?;
        rows.push(log_ins(&platform, &client).await?.row(&format!("log-ins, {cost}")));
        if cost == COSTS[0] {
            rows.push(refreshes(&platform, &client).await?.row("refreshes"));
            rows.push(jwks(&platform, &client).await?.row("JWKS"));
        }
        platform.stop().await;
    }
    table(
        "As many as are answered, 16 callers",
        &["", "per second", "per second of svc-auth's CPU"],
        &rows,
    );
    Ok(())
}

async fn log_ins(platform: &Platform, client: &AuthClient) -> Result<Rates> {
    rounds(platform, |person| {
        let mut client = client.clone();
        async move {
            log_in(&mut client, person, PASSWORD).await?;
            Ok(())
        }
    })
    .await
}

async fn refreshes(platform: &Platform, client: &AuthClient) -> Result<Rates> {
    let mut tokens = Vec::new();
    for person in 0..PEOPLE {
        let session = log_in(&mut client.clone(), person, PASSWORD).await?;
        tokens.push(Arc::new(Mutex::new(session.refresh_token)));
    }
    rounds(platform, |person| {
        let (mut client, token) = (client.clone(), Arc::clone(&tokens[person]));
        async move {
            let mut token = token.lock().await;
            let refresh_token = token.clone();
            let request = from(RefreshSessionRequest { refresh_token }, person);
            *token = client.refresh_session(request).await?.into_inner().refresh_token;
            Ok(())
        }
    })
    .await
}

async fn jwks(platform: &Platform, client: &AuthClient) -> Result<Rates> {
    rounds(platform, |_| {
        let mut client = client.clone();
        async move {
            client.get_jwks(GetJwksRequest {}).await?;
            Ok(())
        }
    })
    .await
}

/// Every person calls again when the last call was answered.
async fn rounds<F>(platform: &Platform, call: impl Fn(usize) -> F) -> Result<Rates>
where
    F: Future<Output = Result<()>>,
{
    let mut rates = Rates::default();
    for _ in 0..ROUNDS {
        let before = usage_of(platform)?.cpu;
        let started = Instant::now();
        let callers = (0..PEOPLE).map(|person| repeat(person, &call, started + DURATION));
        let calls: usize = try_join_all(callers).await?.into_iter().sum();
        let elapsed = started.elapsed();
        let cpu = usage_of(platform)?.cpu.saturating_sub(before);
        rates.per_second.push(calls as f64 / elapsed.as_secs_f64());
        rates.per_cpu_second.push(calls as f64 / cpu.as_secs_f64());
    }
    Ok(rates)
}

async fn repeat<F>(person: usize, call: &impl Fn(usize) -> F, end: Instant) -> Result<usize>
where
    F: Future<Output = Result<()>>,
{
    let mut calls = 0;
    while Instant::now() < end {
        call(person).await?;
        calls += 1;
    }
    Ok(calls)
}

impl Rates {
    fn row(self, name: &str) -> Vec<String> {
        let text = |values| Median::of(values).text(0);
        vec![name.to_owned(), text(self.per_second), text(self.per_cpu_second)]
    }
}
