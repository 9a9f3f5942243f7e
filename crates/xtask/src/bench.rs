//! `bench`: builds the programs as images have them, and measures them on this machine.

use devstack::platform::PROGRAMS;

use crate::run;

/// The arguments go to the benchmark.
pub(crate) fn bench(arguments: &[String]) -> anyhow::Result<()> {
    devstack::install()?;
    let mut build = run::cargo(&["build", "--profile", "dist", "--bins", "--package", "system-tests"]);
    for program in &PROGRAMS {
        build.args(["--package", program.name]);
    }
    run::run(&mut build)?;
    let binaries = run::target_folder()?.join("dist");
    let mut bench = std::process::Command::new(binaries.join("bench"));
    run::run(bench.arg(&binaries).args(arguments))
}
