//! CPU time and memory of a process, as Linux accounts them.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// One reading of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time since the process began.
    pub cpu: Duration,
    /// Resident memory now.
    pub memory_bytes: u64,
    /// The most resident memory since the process began.
    pub peak_memory_bytes: u64,
}

// USER_HZ is 100 on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// Reads the usage of the process `pid`.
///
/// # Errors
/// When there is no such process, or no /proc.
pub fn usage(pid: u32) -> Result<Usage> {
    let stat = read_file(pid, "stat")?;
    let status = read_file(pid, "status")?;
    // The command name may hold spaces; what follows its closing bracket does not.
    let after_name = stat.rsplit_once(')').context("stat names the command")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u32 = [fields[11], fields[12]]
        .iter()
        .filter_map(|ticks| ticks.parse::<u32>().ok())
        .sum();
    Ok(Usage {
        cpu: TICK * ticks,
        memory_bytes: kibibytes(&status, "VmRSS:") * 1024,
        peak_memory_bytes: kibibytes(&status, "VmHWM:") * 1024,
    })
}

fn read_file(pid: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).with_context(|| format!("reading {path}"))
}

fn kibibytes(status: &str, field: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|value| value.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}
