//! Bringing the servers to a machine that does not have them: Debian packages, or Homebrew.

#![expect(
    clippy::print_stdout,
    reason = "installing takes a while, and is done before there is a log"
)]

use std::{path::Path, process::Command};

use anyhow::{Context, bail, ensure};

use crate::binaries;

/// A program that must be there, and the packages that bring it.
struct Needed {
    program: &'static str,
    debian: &'static str,
    homebrew: &'static str,
}

const SERVERS: [Needed; 4] = [
    Needed {
        program: "postgres",
        debian: "postgresql",
        homebrew: "postgresql@16",
    },
    Needed {
        program: "initdb",
        debian: "postgresql",
        homebrew: "postgresql@16",
    },
    Needed {
        program: "redis-server",
        debian: "redis-server",
        homebrew: "redis",
    },
    Needed {
        program: "nats-server",
        debian: "nats-server",
        homebrew: "nats-server",
    },
];

/// Debian starts what it installs. Ours run privately, so while packages are being installed a policy forbids it.
const APT: &str = r#"
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends "$@"
"#;

/// Installs the servers that this machine lacks, and says what it does. Nothing happens when all are there.
pub fn install() -> anyhow::Result<()> {
    let missing: Vec<&Needed> = SERVERS
        .iter()
        .filter(|needed| binaries::find(needed.program).is_err())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if Path::new("/usr/bin/apt-get").is_file() {
        install_packages(missing.iter().map(|needed| needed.debian).collect(), apt_get)?;
    } else if binaries::find("brew").is_ok() {
        install_packages(missing.iter().map(|needed| needed.homebrew).collect(), brew)?;
    } else {
        let programs: Vec<&str> = missing.iter().map(|needed| needed.program).collect();
        bail!(
            "please install {} (PostgreSQL 15+, Redis 7+, NATS 2.9+) and put them in PATH",
            programs.join(", ")
        );
    }
    for needed in missing {
        binaries::find(needed.program)?;
    }
    Ok(())
}

/// Installs Debian packages (or the Homebrew formulas of the same names) unless `program` is there.
pub fn install_program(program: &'static str) -> anyhow::Result<()> {
    if binaries::find(program).is_ok() {
        return Ok(());
    }
    if Path::new("/usr/bin/apt-get").is_file() {
        install_packages(vec![program], apt_get)?;
    } else if binaries::find("brew").is_ok() {
        install_packages(vec![program], brew)?;
    }
    binaries::find(program).map(drop)
}

fn install_packages(mut packages: Vec<&str>, installer: impl Fn(&[&str]) -> Command) -> anyhow::Result<()> {
    packages.dedup();
    let mut command = installer(&packages);
    println!("installing {}", packages.join(", "));
    let status = command
        .status()
        .with_context(|| format!("running {:?}", command.get_program()))?;
    ensure!(
        status.success(),
        "installing {} failed; install it by hand and try again",
        packages.join(", ")
    );
    Ok(())
}

fn apt_get(packages: &[&str]) -> Command {
    let mut command = if binaries::we_are_root() {
        Command::new("sh")
    } else {
        println!("this needs root: sudo may ask for your password");
        let mut sudo = Command::new("sudo");
        sudo.arg("sh");
        sudo
    };
    command.args(["-c", APT, "install"]).args(packages);
    command
}

fn brew(packages: &[&str]) -> Command {
    let mut command = Command::new("brew");
    command.arg("install").args(packages);
    command
}
