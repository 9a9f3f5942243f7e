//! The edge as a process of its own, with its real contract and whatever stands behind it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use service::testing::TestIssuer;
use tempfile::TempDir;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

pub struct Process {
    pub url: String,
    pub admin_url: String,
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    folder: TempDir,
}

impl Process {
    /// Returns when it serves. Its settings are these; services are away unless `environment` names them.
    pub async fn start(settings: &str, environment: &[(&str, &str)]) -> Self {
        let (folder, issuer) = (TempDir::new().unwrap(), TestIssuer::new());
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let (port, admin_port) = (devstack::free_port(), devstack::free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_edge-gateway"));
        command
            .env_clear()
            .env("EDGE_LISTEN", format!("127.0.0.1:{port}"))
            .env("EDGE_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
            .env("EDGE_SERVICE_KEY", file("key.pem", &issuer.private_key_pem()))
            .env("BOOKMESH_SERVICE_KEYS", file("keys.json", r#"{"keys":[]}"#))
            .env("EDGE_SETTINGS", file("settings.toml", settings));
        for name in ["AUTH", "BOOKMARKS", "IMPORT", "TASK", "ENRICH"] {
            command.env(format!("BOOKMESH_{name}_ADDRESS"), NOBODY);
        }
        command.envs(environment.iter().copied()).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = gather(&mut child);
        let process = Self {
            url: format!("http://127.0.0.1:{port}"),
            admin_url: format!("http://127.0.0.1:{admin_port}"),
            child,
            log,
            folder,
        };
        process.wait_for_line("ready").await;
        process
    }

    pub fn settings_file(&self) -> PathBuf {
        self.folder.path().join("settings.toml")
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Asks it to stop; how it ended.
    pub async fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        wait_until("it ends", || self.child.try_wait().unwrap()).await
    }

    /// How many log lines have this message.
    pub fn lines(&self, message: &str) -> usize {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| line["message"] == message).count()
    }

    /// The log line with this message that a request has caused.
    pub async fn wait_for(&self, message: &str, request_id: &str) -> Value {
        let is_it = |line: &&Value| line["message"] == message && line["request.id"] == request_id;
        wait_until(message, || self.log.lock().unwrap().iter().find(is_it).cloned()).await
    }

    pub async fn wait_for_line(&self, message: &str) {
        wait_until(message, || (self.lines(message) > 0).then_some(())).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Every line is JSON, whatever happens.
fn gather(child: &mut Child) -> Arc<Mutex<Vec<Value>>> {
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let log = Arc::new(Mutex::new(Vec::new()));
    let gathered = Arc::clone(&log);
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
            gathered.lock().unwrap().push(line);
        }
    });
    log
}

pub async fn wait_until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let waited = async {
        loop {
            if let Some(outcome) = done() {
                return outcome;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    waited.unwrap_or_else(|_| panic!("waiting until {what}"))
}
