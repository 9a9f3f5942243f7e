//! `bench`: builds the programs as images have them, and measures them on this machine.

use devstack::platform::PROGRAMS;

use crate::run;

/// The arguments go to the benchmark.
pub(crate) fn bench(arguments: &[String]) -> anyhow::Result<()> {
    devstack::install()?;
    run::run(&mut run::build_of(
        PROGRAMS.map(|program| program.name).into_iter().chain(["bench"]),
        "dist",
    ))?;
    let binaries = run::target_folder()?.join("dist");
    let mut bench = std::process::Command::new(binaries.join("bench"));
    run::run(bench.arg(&binaries).args(arguments))
}
