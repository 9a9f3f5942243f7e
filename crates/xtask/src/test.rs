//! `test`: every test of the workspace, on real servers.

use crate::run;

/// The arguments go to `cargo test`.
pub(crate) fn test(arguments: &[String]) -> anyhow::Result<()> {
    devstack::install()?;
    // The system tests start the six programs: cargo builds them because each package has integration tests of its own.
    run::run(run::cargo(&["test", "--workspace", "--features", run::FEATURES, "--no-fail-fast"]).args(arguments))
}
