//! The smallest service as a process of its own: bad configuration, log lines, signals, exit codes.

use std::{
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use service::testing::TestIssuer;
use tempfile::TempDir;

/// `cargo test` builds the examples beside the tests.
fn smallest() -> Command {
    let test = std::env::current_exe().unwrap();
    let program: PathBuf = test.parent().unwrap().parent().unwrap().join("examples/smallest");
    assert!(
        program.exists(),
        "{} is missing: run `cargo build --examples`",
        program.display()
    );
    let mut command = Command::new(program);
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Ended with the test, however it goes.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Waits for its end, and answers its exit code and what it wrote to stderr.
    pub(crate) fn into_output(mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        let mut stderr = self.0.stderr.take().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        (self.0.wait().unwrap().code(), text)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

pub(crate) fn configured(folder: &TempDir, issuer: &TestIssuer) -> Command {
    let (key, keys) = (folder.path().join("key.pem"), folder.path().join("keys.json"));
    std::fs::write(&key, issuer.private_key_pem()).unwrap();
    std::fs::write(&keys, r#"{"keys":[]}"#).unwrap();
    let mut command = smallest();
    command
        .env("SMALLEST_LISTEN", "127.0.0.1:0")
        .env("SMALLEST_ADMIN_LISTEN", "127.0.0.1:0")
        .env("SMALLEST_SUMMARY", "hello")
        .env("SMALLEST_SERVICE_KEY", key)
        .env("BOOKMESH_SERVICE_KEYS", keys)
        .env("BOOKMESH_AUTH_ADDRESS", "http://127.0.0.1:1");
    command
}

pub(crate) fn terminate(child: &Child) {
    let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn every_bad_variable_is_named_and_the_exit_code_is_64() {
    let output = smallest()
        .env("SMALLEST_LISTEN", "everywhere")
        .env("BOOKMESH_SERVICE_KEYS", "/no/such/file")
        .env("BOOKMESH_LOG", "[[[")
        .output()
        .unwrap();

    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{text}");
    for variable in [
        "SMALLEST_LISTEN is invalid",
        "BOOKMESH_LOG is invalid",
        "SMALLEST_ADMIN_LISTEN is missing",
        "BOOKMESH_SERVICE_KEYS names a file that cannot be read",
        "BOOKMESH_AUTH_ADDRESS is missing",
        "SMALLEST_SERVICE_KEY is missing",
        "SMALLEST_SUMMARY is missing",
    ] {
        assert_eq!(
            text.lines().filter(|line| line.starts_with(variable)).count(),
            1,
            "{variable} in:\n{text}"
        );
    }
}

#[test]
fn an_unknown_argument_is_answered_with_the_usage() {
    let output = smallest().arg("--help").output().unwrap();

    assert_eq!(output.status.code(), Some(64));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "usage: smallest\n");
}

#[test]
fn sigterm_ends_it_cleanly_and_every_line_is_json() {
    let folder = TempDir::new().unwrap();
    let mut running = Running(configured(&folder, &TestIssuer::new()).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let mut log: Vec<Value> = Vec::new();
    while log.last().is_none_or(|line| line["message"] != "ready") {
        log.push(serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap());
    }

    terminate(&running.0);

    log.extend(lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap()));
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    let stopping: Vec<&str> = log
        .iter()
        .filter(|line| line["level"] == "INFO")
        .filter_map(|line| line["message"].as_str())
        .collect();
    assert_eq!(
        stopping,
        [
            "starting",
            "ready",
            "asked to stop",
            "stopping: no longer ready, finishing what was begun",
            "stopped: everything begun was finished",
        ]
    );
    assert!(
        log.iter()
            .all(|line| line["service"] == "smallest" && line["timestamp"].is_string())
    );
}

#[test]
fn a_port_that_is_taken_is_an_error_and_the_exit_code_is_1() {
    let folder = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();

    let mut command = configured(&folder, &TestIssuer::new());
    let child = command.env("SMALLEST_LISTEN", address.to_string()).spawn().unwrap();

    let (code, text) = Running(child).into_output();
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains(&format!("listening on {address}: Address already in use")),
        "{text}"
    );
}

#[test]
fn two_instances_that_say_so_share_a_port() {
    let (folder, issuer) = (TempDir::new().unwrap(), TestIssuer::new());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);

    let start = || {
        let mut command = configured(&folder, &issuer);
        command
            .env("SMALLEST_LISTEN", &address)
            .env("SMALLEST_REUSE_PORT", "true");
        let mut running = Running(command.spawn().unwrap());
        let lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
        let ready = lines.map(Result::unwrap).find(|line| line.contains("\"ready\""));
        (running, ready)
    };
    let (first, second) = (start(), start());

    assert!(first.1.is_some() && second.1.is_some());
}
