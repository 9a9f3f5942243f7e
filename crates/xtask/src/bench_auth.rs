//! `bench-auth`: what svc-auth can do, in a platform of its own.

use devstack::platform::PROGRAMS;

use crate::run;

/// The arguments choose parts.
pub(crate) fn bench_auth(arguments: &[String]) -> anyhow::Result<()> {
    devstack::install()?;
    run::run(&mut run::build_of(PROGRAMS.map(|program| program.name), "dist"))?;
    let binaries = run::target_folder()?.join("dist");
    let mut bench = run::cargo(&["bench", "--profile", "dist", "--bench", "auth", "--"]);
    run::run(bench.arg(binaries).args(arguments))
}
