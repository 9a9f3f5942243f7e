//! Checks of access tokens, as every process makes them: the first sight of a token, and each one after it.

use std::{hint::black_box, time::Instant};

use anyhow::{Result, ensure};
use service::testing::TestIssuer;
use system_tests::report::{Median, table};
use uuid::Uuid;

const ROUNDS: usize = 5;
const COLD: usize = 20_000;
const CACHED: usize = 500_000;

pub async fn measure() -> Result<()> {
    let (mut cold, mut cached) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let issuer = TestIssuer::new();
        let verifier = issuer.verifier("svc-bookmarks");
        let tokens: Vec<String> = (0..COLD).map(|_| issuer.access_token(Uuid::now_v7())).collect();

        let started = Instant::now();
        for token in &tokens {
            ensure!(verifier.verify(token).await.is_ok(), "a token was refused");
        }
        cold.push(COLD as f64 / started.elapsed().as_secs_f64());

        let token = issuer.access_token(Uuid::now_v7());
        let started = Instant::now();
        for _ in 0..CACHED {
            ensure!(black_box(verifier.verify(&token).await).is_ok(), "a token was refused");
        }
        cached.push(CACHED as f64 / started.elapsed().as_secs_f64());
    }
    let row = |name: &str, rates| vec![name.to_owned(), Median::of(rates).text(0)];
    table(
        "Access tokens checked by one core",
        &["", "per second"],
        &[row("seen for the first time", cold), row("seen before", cached)],
    );
    Ok(())
}
