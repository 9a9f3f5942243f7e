//! How Redis is started.

use std::{path::Path, time::Duration};

use anyhow::{Context, ensure};

use crate::{
    Keep, binaries,
    process::Launch,
    ready::{self, Probe},
};

pub(crate) fn launch(folder: &Path, port: u16, keep: Keep) -> anyhow::Result<Launch> {
    let append_only = match keep {
        Keep::Durably => "yes",
        Keep::ForTests => "no",
    };
    let data = folder.join("redis");
    std::fs::create_dir_all(&data)?;
    let mut command = vec![binaries::find("redis-server")?.into_os_string()];
    let port_text = port.to_string();
    let settings = [
        ["--bind", "127.0.0.1"],
        ["--port", &port_text],
        ["--save", ""],
        ["--appendonly", append_only],
        ["--daemonize", "no"],
    ];
    command.extend(settings.into_iter().flatten().map(Into::into));
    command.extend(["--dir".into(), data.clone().into_os_string()]);
    Ok(Launch {
        name: "redis".to_owned(),
        command,
        environment: Vec::new(),
        current_folder: data,
        log: folder.join("log/redis.log"),
        pid_file: folder.join("redis.pid"),
        stop_signal: "TERM",
        patience: Duration::from_secs(10),
        probe: Probe::Redis(port),
    })
}

/// Removes every key.
pub(crate) fn flush(port: u16) -> anyhow::Result<()> {
    let answer = ready::exchange(port, "FLUSHALL\r\n").context("talking to Redis")?;
    ensure!(answer.starts_with("+OK"), "redis did not flush: {answer}");
    Ok(())
}
