//! How NATS is started, with JetStream.

use std::{path::Path, time::Duration};

use crate::{binaries, process::Launch, ready::Probe};

/// Debian 12 has nats-server 2.9: flags and settings of later versions are not to be used here.
pub(crate) fn launch(folder: &Path, port: u16) -> anyhow::Result<Launch> {
    let data = folder.join("nats");
    std::fs::create_dir_all(&data)?;
    let mut command = vec![binaries::find("nats-server")?.into_os_string()];
    let port_text = port.to_string();
    command.extend(["--addr", "127.0.0.1", "--port", &port_text, "--jetstream"].map(Into::into));
    command.extend(["--store_dir".into(), data.clone().into_os_string()]);
    Ok(Launch {
        name: "nats".to_owned(),
        command,
        environment: Vec::new(),
        current_folder: data,
        log: folder.join("log/nats.log"),
        pid_file: folder.join("nats.pid"),
        stop_signal: "TERM",
        patience: Duration::from_secs(10),
        probe: Probe::Nats(port),
    })
}
