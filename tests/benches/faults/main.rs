//! `make test-faults`: what callers of the edge see while Redis, or a service behind it, is stopped, killed, slow, half-open or
//! resetting, and while three times as much is asked as can be done. Prints figures, and fails when a bound does not hold.

#[path = "../edge/answering.rs"]
mod answering;
mod bounds;
mod calls;
#[expect(dead_code, reason = "`make bench-edge` uses the rest of it")]
#[path = "../edge/children.rs"]
mod children;
mod edge;
mod gate;
#[path = "../edge/messages.rs"]
mod messages;
mod overload;
mod redis;
mod service;
mod traffic;

use std::{env, path::Path, time::Duration};

use anyhow::{Context, Result};
use system_tests::report::machine;

use answering::Pace;
use bounds::Bounds;
use edge::Setting;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["answering", folder, port, at_once, work_ms] => answering::run(
            Path::new(folder),
            port.parse()?,
            Pace {
                at_once: at_once.parse()?,
                work: Duration::from_millis(work_ms.parse()?),
            },
        ),
        [binaries, parts @ ..] => run(Path::new(binaries), parts),
        [] => anyhow::bail!("usage: faults <folder of the binaries> [redis] [service] [overload]"),
    }
}

/// Runs the named parts, or all.
fn run(binaries: &Path, parts: &[&str]) -> Result<()> {
    let is_chosen = |part| parts.is_empty() || parts.contains(&part);
    // Traffic must not wait for what harms its servers.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let setting = Setting::prepare(binaries).await?;
        machine(binaries);
        let mut bounds = Bounds::default();
        if is_chosen("redis") {
            redis::run(&setting, &mut bounds).await.context("harming Redis")?;
        }
        if is_chosen("service") {
            service::run(&setting, &mut bounds).await.context("harming a service")?;
        }
        if is_chosen("overload") {
            overload::run(&setting, &mut bounds).await.context("asking too much")?;
        }
        setting.end().await;
        bounds.report()
    })
}
