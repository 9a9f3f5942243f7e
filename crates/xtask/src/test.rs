//! `test`: every test of the workspace, on real servers.

use crate::run;

/// The arguments go to `cargo test`.
pub(crate) fn test(arguments: &[String]) -> anyhow::Result<()> {
    devstack::install()?;
    // The system tests start the six programs, which `cargo test` alone would not build.
    run::run(&mut run::cargo(&["build", "--workspace", "--bins"]))?;
    run::run(run::cargo(&["test", "--workspace", "--no-fail-fast"]).args(arguments))
}
