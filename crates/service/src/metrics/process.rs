//! What the process itself uses, as Linux tells it; elsewhere the figures are left out.

use std::fs;

use super::Metrics;

/// The unit of times in `/proc`, the same on every Linux that Rust builds for.
const TICKS_PER_SECOND: f64 = 100.0;

pub(crate) fn register(metrics: &Metrics) {
    if resident_bytes().is_none() || cpu_seconds().is_none() {
        return;
    }
    metrics.observe(
        "process_resident_memory_bytes",
        "Memory that the process has in RAM",
        || resident_bytes().unwrap_or(f64::NAN),
    );
    metrics.observe_counter("process_cpu_seconds", "CPU time that the process has used", || {
        cpu_seconds().unwrap_or(f64::NAN)
    });
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024.0)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets, and may itself hold brackets and spaces.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11);
    let user: f64 = times.next()?.parse().ok()?;
    let system: f64 = times.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_memory_and_time() {
        let megabyte = 1024.0 * 1024.0;

        assert!(resident_bytes().unwrap() > megabyte);
        assert!(cpu_seconds().unwrap() < 3600.0);
    }
}
