//! Prints figures as Markdown tables, each a median of several runs with the spread that the machine's noise gave it.

use std::{fs, path::Path, thread, time::Duration};

/// The middle of some measurements, and how far they spread.
#[derive(Clone, Copy, Debug)]
pub struct Median {
    /// The middle one.
    pub value: f64,
    /// (largest - smallest) / middle.
    pub spread: f64,
}

impl Median {
    /// Of at least one measurement.
    pub fn of(mut measurements: Vec<f64>) -> Self {
        measurements.sort_unstable_by(f64::total_cmp);
        let value = measurements[measurements.len() / 2];
        let width = measurements[measurements.len() - 1] - measurements[0];
        Self {
            value,
            spread: if value == 0.0 { 0.0 } else { width / value },
        }
    }

    /// As text with `digits` after the point, such as `12.3 ±4%`.
    pub fn text(self, digits: usize) -> String {
        format!("{:.digits$} ±{:.0}%", self.value, self.spread * 50.0)
    }
}

/// Prints what the figures were measured on. `binaries` is cargo's folder of a profile and has its name.
#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
pub fn machine(binaries: &Path) {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let cpu = first_value("/proc/cpuinfo", "model name");
    let memory = first_value("/proc/meminfo", "MemTotal");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let profile = binaries.file_name().unwrap_or_default().to_string_lossy();
    println!(
        "{cores} cores of {cpu}, {memory} of memory, Linux {}, profile {profile}",
        kernel.trim()
    );
}

/// Prints a table with its title.
#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
pub fn table(title: &str, columns: &[&str], rows: &[Vec<String>]) {
    println!("\n### {title}\n\n| {} |", columns.join(" | "));
    println!("|{}", "---|".repeat(columns.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// What follows `name` and a colon in the first line that has them.
fn first_value(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|rest| rest.trim_start().strip_prefix(':'));
    value.map_or_else(|| "unknown".to_owned(), |value| value.trim().to_owned())
}

/// Milliseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Mebibytes.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.0}", bytes as f64 / f64::from(1 << 20))
}
