//! How PostgreSQL is laid out and started. It refuses to run as root, so root lends it to the user `postgres`.

use std::{
    ffi::OsString,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};

use crate::{Keep, binaries, process::Launch, ready::Probe};

/// The account that runs the server when we are root. Every package of PostgreSQL makes it.
const ACCOUNT: &str = "postgres";

/// What both uses share. The C locale is the one that every machine has.
const SETTINGS: [&str; 5] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=300",
    "shared_buffers=64MB",
    "logging_collector=off",
];

/// Only a power cut could lose a commit with these: a killed server has written its log to the kernel already.
const SETTINGS_FOR_TESTS: [&str; 4] = [
    "fsync=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_wal_size=256MB",
];

pub(crate) fn launch(folder: &Path, port: u16, keep: Keep) -> anyhow::Result<Launch> {
    let data = data_folder(folder)?;
    let mut command = as_server_account();
    command.push(binaries::find("postgres")?.into_os_string());
    command.extend([
        "-D".into(),
        data.clone().into_os_string(),
        "-p".into(),
        port.to_string().into(),
    ]);
    let for_tests: &[&str] = match keep {
        Keep::Durably => &[],
        Keep::ForTests => &SETTINGS_FOR_TESTS,
    };
    for setting in SETTINGS.iter().chain(for_tests) {
        command.extend(["-c".into(), OsString::from(setting)]);
    }
    Ok(Launch {
        name: "postgres".to_owned(),
        command,
        environment: Vec::new(),
        current_folder: data.clone(),
        log: folder.join("log/postgres.log"),
        pid_file: folder.join("postgres.pid"),
        stop_signal: match keep {
            Keep::Durably => "INT",
            Keep::ForTests => "QUIT",
        },
        patience: Duration::from_secs(30),
        probe: Probe::Postgres(data),
    })
}

/// The folder of the cluster, made when it is not there yet. Links are followed: the server's account may be unable to.
fn data_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    let data = folder.join("postgres");
    if !data.join("PG_VERSION").is_file() {
        if fs::symlink_metadata(&data).is_ok() {
            fs::remove_dir_all(&data).context("removing a half-made Postgres folder")?;
        }
        make_folder(folder, &data)?;
        initialise(&data.canonicalize()?)?;
    }
    data.canonicalize().context("finding the Postgres folder")
}

/// As root the folder is given to the server's account. When that account cannot reach it (a checkout under /root),
/// the data lives in /var/tmp, and `folder` keeps a link to it.
fn make_folder(folder: &Path, data: &Path) -> anyhow::Result<()> {
    fs::create_dir(data).context("making the Postgres folder")?;
    if !binaries::we_are_root() {
        return Ok(());
    }
    if account_reaches(folder)? {
        return give_to_account(data);
    }
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    let elsewhere = PathBuf::from(format!("/var/tmp/bookmesh-{:016x}", hasher.finish()));
    fs::remove_dir(data)?;
    if elsewhere.exists() {
        fs::remove_dir_all(&elsewhere).with_context(|| format!("removing {}", elsewhere.display()))?;
    }
    fs::create_dir(&elsewhere).with_context(|| format!("making {}", elsewhere.display()))?;
    symlink(&elsewhere, data).context("linking to the Postgres folder")?;
    give_to_account(&elsewhere)
}

fn initialise(data: &Path) -> anyhow::Result<()> {
    let mut command = as_server_account();
    command.push(binaries::find("initdb")?.into_os_string());
    command.extend(["-D".into(), data.as_os_str().to_owned()]);
    command.extend(
        [
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ]
        .map(Into::into),
    );
    run(&command, data, "initdb")
}

fn account_reaches(folder: &Path) -> anyhow::Result<bool> {
    let mut command = as_server_account();
    command.extend(["test".into(), "-x".into(), folder.as_os_str().to_owned()]);
    let status = Command::new(&command[0])
        .args(&command[1..])
        .current_dir("/")
        .status()
        .context("running setpriv")?;
    Ok(status.success())
}

fn give_to_account(data: &Path) -> anyhow::Result<()> {
    let command: [OsString; 3] = [
        "chown".into(),
        format!("{ACCOUNT}:").into(),
        data.as_os_str().to_owned(),
    ];
    run(&command, Path::new("/"), "chown")
}

/// What stands before a command so that it runs as the server's account. `setpriv` executes it in place: the pid stays.
fn as_server_account() -> Vec<OsString> {
    if !binaries::we_are_root() {
        return Vec::new();
    }
    let user = format!("--reuid={ACCOUNT}");
    let group = format!("--regid={ACCOUNT}");
    ["setpriv", &user, &group, "--init-groups", "--"]
        .map(Into::into)
        .to_vec()
}

fn run(command: &[OsString], current_folder: &Path, name: &str) -> anyhow::Result<()> {
    let output = Command::new(&command[0])
        .args(&command[1..])
        .current_dir(current_folder)
        .output()
        .with_context(|| format!("running {name}"))?;
    ensure!(
        output.status.success(),
        "{name} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
