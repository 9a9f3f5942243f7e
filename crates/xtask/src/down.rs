//! `down`: ends a running `up`, and what an interrupted one has left.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;

use crate::lock::{self, Taken};

/// An `up` gives each process 35 s to drain.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);

#[expect(clippy::disallowed_methods, reason = "nothing else is to be done meanwhile")]
pub(crate) fn down() -> anyhow::Result<()> {
    let folder = lock::data_folder()?;
    if let Taken::ByAnother(pid) = lock::take(&folder)? {
        println!("ending `make up`, process {pid}");
        devstack::leftovers::ask_to_end(pid)?;
    }
    let started = Instant::now();
    while let Taken::ByAnother(pid) = lock::take(&folder)? {
        ensure!(started.elapsed() < PATIENCE, "process {pid} does not end");
        thread::sleep(POLL);
    }
    for name in devstack::leftovers::end_all(&folder)? {
        println!("ended {name}, which was left behind");
    }
    Ok(())
}
