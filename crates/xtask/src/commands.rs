//! Which command is which.

use std::env;

use anyhow::bail;

use crate::{
    bench, bench_auth, bench_edge, check, down, fuzz, fuzz_api, openapi, run, sqlx_data, test, test_faults,
    test_isolation, up,
};

const NAMES: &str = "commands: up, down, test, test-faults, test-isolation, check, bench, bench-edge, bench-auth, fuzz, fuzz-api, sqlx, openapi";

/// Runs the command that the arguments name, in the folder of the workspace.
pub(crate) async fn dispatch(arguments: &[String]) -> anyhow::Result<()> {
    env::set_current_dir(run::workspace())?;
    let Some((command, rest)) = arguments.split_first() else {
        bail!("which command? {NAMES}")
    };
    match command.as_str() {
        "up" => up::up().await,
        "down" => down::down(),
        "test" => test::test(rest),
        "test-faults" => test_faults::test_faults(rest),
        "test-isolation" => test_isolation::test_isolation(),
        "check" => check::check(rest).await,
        "bench" => bench::bench(rest),
        "bench-auth" => bench_auth::bench_auth(rest),
        "bench-edge" => bench_edge::bench_edge(rest),
        "fuzz" => fuzz::fuzz(rest),
        "fuzz-api" => fuzz_api::fuzz_api(rest).await,
        "sqlx" => sqlx_data::update(rest).await,
        "openapi" => openapi::update(),
        unknown => bail!("no command {unknown:?}; {NAMES}"),
    }
}
