//! Whether the time of a refused log-in tells if there is such an account.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use system_tests::report::{milliseconds, table};
use tonic::Code;

use crate::{
    accounts::{AuthClient, connect, log_in, register},
    platform,
};

const SAMPLES: usize = 2_000;
const WARM_UP: usize = 50;
const WRONG: &str = "a long enough wrong passphrase";

/// Known and unknown in turn, one at a time. Each account is tried once and each address has one try, so that no limit shows.
pub async fn measure(binaries: &Path) -> Result<()> {
    let platform = platform(binaries, "").await?;
    let mut client = connect(&platform).await?;
    register(&client, SAMPLES + WARM_UP).await?;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..SAMPLES + WARM_UP {
        known.push(refusal(&mut client, number).await?);
        unknown.push(refusal(&mut client, number + SAMPLES + WARM_UP).await?);
    }
    platform.stop().await;
    let (known, unknown) = (known.split_off(WARM_UP), unknown.split_off(WARM_UP));
    let row = vec![
        format!("{:.3}", median(&known)),
        format!("{:.3}", median(&unknown)),
        format!("{:.3}", (median(&known) - median(&unknown)).abs()),
        format!("{:.3}", mann_whitney(&known, &unknown)),
    ];
    table(
        "Refused log-ins, 2 x 2,000 in turn",
        &[
            "there is an account, median ms",
            "there is none",
            "difference",
            "p (Mann-Whitney)",
        ],
        &[row],
    );
    Ok(())
}

async fn refusal(client: &mut AuthClient, number: usize) -> Result<Duration> {
    let started = Instant::now();
    let answer = log_in(client, number, WRONG).await;
    let took = started.elapsed();
    let code = answer.err().map(|status| status.code());
    ensure!(code == Some(Code::Unauthenticated), "answered {code:?}");
    Ok(took)
}

fn median(durations: &[Duration]) -> f64 {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    milliseconds(sorted[sorted.len() / 2])
}

/// How likely two samples of one distribution are to differ as much: the two-sided U test, by its normal approximation.
fn mann_whitney(left: &[Duration], right: &[Duration]) -> f64 {
    let mut all: Vec<(Duration, bool)> = left.iter().map(|duration| (*duration, true)).collect();
    all.extend(right.iter().map(|duration| (*duration, false)));
    all.sort_unstable();
    let ranks_of_left: f64 = (1..)
        .zip(&all)
        .filter(|(_, (_, is_left))| *is_left)
        .map(|(rank, _)| f64::from(rank))
        .sum();
    let (left, right) = (left.len() as f64, right.len() as f64);
    let statistic = ranks_of_left - left * (left + 1.0) / 2.0;
    let deviation = (left * right * (left + right + 1.0) / 12.0).sqrt();
    let z = ((statistic - left * right / 2.0) / deviation).abs();
    2.0 * upper_tail(z)
}

/// Of the normal distribution, by Abramowitz and Stegun 26.2.17; exact to seven digits.
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let coefficients = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let polynomial = coefficients
        .iter()
        .rev()
        .fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    polynomial * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}
