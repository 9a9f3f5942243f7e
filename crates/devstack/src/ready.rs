//! Asking a server whether it is ready, each in its own way.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_millis(500);

/// How a server shows that it is ready.
#[derive(Debug, Clone)]
pub(crate) enum Probe {
    /// The data folder whose `postmaster.pid` says "ready", as pg_ctl does it: an open port may still say "starting up".
    Postgres(PathBuf),
    Redis(u16),
    Nats(u16),
    /// A path that answers 200 over plain HTTP.
    Http {
        port: u16,
        path: &'static str,
    },
}

impl Probe {
    pub(crate) fn answers(&self, pid: u32) -> bool {
        match self {
            Probe::Postgres(data) => postmaster_is_ready(data, pid),
            Probe::Redis(port) => exchange(*port, "PING\r\n").is_some_and(|answer| answer.starts_with("+PONG")),
            Probe::Nats(port) => exchange(*port, "").is_some_and(|answer| answer.starts_with("INFO ")),
            Probe::Http { port, path } => {
                let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
                exchange(*port, &request).is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
            }
        }
    }
}

/// The first line of the file is the server's pid, the eighth its state.
fn postmaster_is_ready(data: &std::path::Path, pid: u32) -> bool {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else {
        return false;
    };
    let mut lines = text.lines();
    let same_process = lines.next().is_some_and(|line| line.trim() == pid.to_string());
    same_process && lines.nth(6).is_some_and(|line| line.trim() == "ready")
}

/// Connects, says something, and returns the first bytes of the answer.
pub(crate) fn exchange(port: u16, request: &str) -> Option<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = [0; 256];
    let length = stream.read(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}
