//! What must hold, and whether it did.

use anyhow::{Result, ensure};
use system_tests::report::table;

/// The bounds of a run, in the order in which they were looked at.
#[derive(Default)]
pub struct Bounds(Vec<Bound>);

struct Bound {
    text: String,
    measured: String,
    holds: bool,
}

impl Bounds {
    pub fn at_most(&mut self, text: &str, measured: f64, limit: f64) {
        self.add(format!("{text} <= {limit}"), measured, measured <= limit);
    }

    pub fn at_least(&mut self, text: &str, measured: f64, limit: f64) {
        self.add(format!("{text} >= {limit}"), measured, measured >= limit);
    }

    fn add(&mut self, text: String, measured: f64, holds: bool) {
        let measured = format!("{measured:.2}");
        self.0.push(Bound { text, measured, holds });
    }

    /// Prints all of them; an error when one does not hold, or none was looked at.
    pub fn report(self) -> Result<()> {
        let row = |bound: &Bound| {
            let holds = if bound.holds { "yes" } else { "NO" };
            vec![bound.text.clone(), bound.measured.clone(), holds.to_owned()]
        };
        let rows: Vec<_> = self.0.iter().map(row).collect();
        table("Bounds", &["", "measured", "holds"], &rows);
        let broken = self.0.iter().filter(|bound| !bound.holds).count();
        ensure!(!rows.is_empty(), "nothing was looked at");
        ensure!(broken == 0, "{broken} of {} bounds do not hold", rows.len());
        Ok(())
    }
}
