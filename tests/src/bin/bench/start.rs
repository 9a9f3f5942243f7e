//! How long a process takes from its start until it says that it is ready, its stores and neighbours running.

use std::time::Instant;

use anyhow::{Result, ensure};
use devstack::platform::Platform;
use system_tests::report::{Median, milliseconds};

const RUNS: usize = 3;

/// Stops and starts a process several times; answers milliseconds. The supervising shell and up to 10 ms between two looks
/// are in them.
pub fn measure(platform: &Platform, name: &str) -> Result<Median> {
    let mut starts = Vec::new();
    for _ in 0..RUNS {
        let ending = platform.stop_process(name)?;
        ensure!(ending.success(), "{name} stopped with {ending}");
        let started = Instant::now();
        platform.restart(name)?;
        starts.push(milliseconds(started.elapsed()));
    }
    Ok(Median::of(starts))
}
