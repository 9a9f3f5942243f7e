//! `test-faults`: harms Redis and services under an edge, and asks too much of it, with figures and bounds.

use crate::run;

const PROFILES: [&str; 3] = ["dev", "release", "dist"];

/// The arguments are a profile, `release` unless it is said, and parts of the run.
pub(crate) fn test_faults(arguments: &[String]) -> anyhow::Result<()> {
    devstack::install()?;
    let named = arguments.first().map(String::as_str);
    let profile = named.filter(|word| PROFILES.contains(word));
    let parts = &arguments[usize::from(profile.is_some())..];
    let profile = profile.unwrap_or("release");
    run::run(&mut run::build_of(["edge-gateway"], profile))?;
    let binaries = run::target_folder()?.join(if profile == "dev" { "debug" } else { profile });
    let mut faults = run::cargo(&["bench", "--profile", profile, "--bench", "faults", "--"]);
    run::run(faults.arg(binaries).args(parts))
}
