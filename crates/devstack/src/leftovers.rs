//! Ending what a platform has left behind whose supervisors were killed too. Otherwise nothing is left.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::process::send_signal;

/// These end last: the others still need them.
const STORES: [&str; 3] = ["postgres", "redis", "nats"];
const PATIENCE: Duration = Duration::from_secs(35);
const POLL: Duration = Duration::from_millis(100);

/// Ends every process whose pid file stands in `folder`, the six programs before the stores. Returns their names.
pub fn end_all(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut left: Vec<(String, u32)> = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".pid")) else {
            continue;
        };
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        if let Ok(pid) = text.trim().parse() {
            left.push((name.to_owned(), pid));
        }
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
    }
    left.retain(|(name, pid)| runs(*pid, program_of(name)));
    left.sort_by_key(|(name, _)| STORES.contains(&name.as_str()));
    for (name, pid) in &left {
        end_process(*pid, program_of(name))?;
    }
    Ok(left.into_iter().map(|(name, _)| name).collect())
}

/// Asks a process to end, and returns at once.
pub fn ask_to_end(pid: u32) -> anyhow::Result<()> {
    send_signal(pid, "TERM")
}

/// Asks a process to end, waits, and ends it by force when it does not. One that is gone, or has another name, is left
/// alone: the kernel gives old numbers to new processes.
#[expect(
    clippy::disallowed_methods,
    reason = "only `down` calls it, which does nothing else meanwhile"
)]
fn end_process(pid: u32, program: &str) -> anyhow::Result<()> {
    let signal = if program == "postgres" { "INT" } else { "TERM" };
    let started = Instant::now();
    let mut asked = false;
    while runs(pid, program) {
        if started.elapsed() > PATIENCE {
            return send_signal(pid, "KILL");
        }
        if !asked {
            asked = true;
            // It may have gone a moment ago, which the loop finds out.
            let _ = send_signal(pid, signal);
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// What the process of a pid file is called by the kernel.
fn program_of(name: &str) -> &str {
    match name {
        "redis" => "redis-server",
        "nats" => "nats-server",
        "postgres" => "postgres",
        program => program,
    }
}

fn runs(pid: u32, program: &str) -> bool {
    name_of(pid).is_some_and(|name| name == program)
}

/// From /proc where there is one: small images have no `ps`.
fn name_of(pid: u32) -> Option<String> {
    if let Ok(name) = fs::read_to_string(format!("/proc/{pid}/comm")) {
        return Some(name.trim().to_owned());
    }
    let output = Command::new("ps")
        .args(["-o", "comm=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Some(Path::new(&path).file_name()?.to_string_lossy().into_owned())
}
