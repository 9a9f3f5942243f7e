//! Services that fail, are slow, disappear, or have too much to do.

mod breakers;
mod hedging;
mod overload;
mod retries;

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;
use tonic::Status;

use crate::app::{App, problem};

/// Breakers that open after five calls, and then stay open for the whole test.
const EAGER: &str = "[breaker]\nminimum_calls = 5\nopen_ms = 60000\n[retry]\nenabled = false\n";

async fn get(app: &App, path: &str) -> Response {
    app.get(path).send().await.unwrap()
}

async fn reason(response: Response) -> Value {
    problem(response).await["reason"].clone()
}

fn broken() -> Status {
    Status::internal("broken")
}

fn unavailable() -> Status {
    Status::unavailable("not now")
}

/// Asks until it is so, for as long as a very busy machine may need.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} does not happen");
}

/// The value of a metric with these labels.
fn metric(app: &App, name_and_labels: &str) -> f64 {
    let text = app.metrics.encode();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}
