//! Prints figures as Markdown tables, each a median of several runs with the spread that the machine's noise gave it.

use std::time::Duration;

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

/// Prints a table with its title.
#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
pub fn table(title: &str, columns: &[&str], rows: &[Vec<String>]) {
    println!("\n### {title}\n\n| {} |", columns.join(" | "));
    println!("|{}", "---|".repeat(columns.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// Milliseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Mebibytes.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.0}", bytes as f64 / f64::from(1 << 20))
}
