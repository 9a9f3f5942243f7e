//! One server process under its supervisor: start, signal, stop, and what it said last.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::ready::Probe;

const SUPERVISOR: &str = include_str!("supervise.sh");
const POLL: Duration = Duration::from_millis(10);
const LAST_LINES: usize = 20;

/// Everything needed to start a server, and to start it again.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) name: String,
    pub(crate) command: Vec<OsString>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) current_folder: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) pid_file: PathBuf,
    pub(crate) stop_signal: &'static str,
    /// How long the server may take to stop before it is killed.
    pub(crate) patience: Duration,
    pub(crate) probe: Probe,
}

/// A started server. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    log: PathBuf,
    supervisor: Child,
    pid: u32,
}

impl Launch {
    /// Starts the server and waits until it answers.
    pub(crate) fn start(&self, deadline: Duration) -> anyhow::Result<Process> {
        let mut process = self.spawn()?;
        process.wait_until_ready(&self.probe, deadline)?;
        Ok(process)
    }

    /// Starts the server without waiting for it.
    pub(crate) fn spawn(&self) -> anyhow::Result<Process> {
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, &self.name])
            .arg(&self.log)
            .arg(&self.pid_file)
            .arg(self.stop_signal)
            .arg((self.patience.as_millis() / 100).to_string())
            .args(&self.command)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.current_folder)
            // Ctrl-C in a terminal goes to the whole group; the order in which things stop is ours to say.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting the supervisor of {}", self.name))?;
        let pid = read_pid(&mut supervisor).with_context(|| format!("starting {}", self.name))?;
        Ok(Process {
            name: self.name.clone(),
            log: self.log.clone(),
            supervisor,
            pid,
        })
    }
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// How the server ended, if it did.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<String>> {
        let status = self
            .supervisor
            .try_wait()
            .with_context(|| format!("asking after {}", self.name))?;
        Ok(status.map(|status| describe(status.code())))
    }

    /// Ends the server without warning, and returns when it is gone.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        send_signal(self.pid, "KILL")?;
        self.supervisor
            .wait()
            .with_context(|| format!("waiting for {} to die", self.name))?;
        Ok(())
    }

    /// Stops the server the way it likes to be stopped; answers how it ended, when it is gone.
    pub(crate) fn stop(mut self) -> anyhow::Result<ExitStatus> {
        self.begin_to_stop();
        // The supervisor exits as its server did.
        self.supervisor
            .wait()
            .with_context(|| format!("waiting for {} to stop", self.name))
    }

    /// Tells the supervisor to stop the server the way it likes to be stopped; dropping waits for it.
    pub(crate) fn begin_to_stop(&mut self) {
        drop(self.supervisor.stdin.take());
    }

    #[expect(clippy::disallowed_methods, reason = "callers are on a thread that may block")]
    pub(crate) fn wait_until_ready(&mut self, probe: &Probe, deadline: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        while !probe.answers(self.pid) {
            if let Some(ending) = self.ended()? {
                bail!(
                    "{} {ending} before it was ready; its last lines:\n{}",
                    self.name,
                    last_lines(&self.log)
                );
            }
            if started.elapsed() > deadline {
                let seconds = deadline.as_secs();
                bail!(
                    "{} was not ready after {seconds} s; its last lines:\n{}",
                    self.name,
                    last_lines(&self.log)
                );
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.begin_to_stop();
        // Nothing can be done about a failure here, and the supervisor ends by itself.
        let _ = self.supervisor.wait();
    }
}

/// Sends a signal by the shell's own `kill`: small images have no /bin/kill, and std has none.
pub(crate) fn send_signal(pid: u32, signal: &str) -> anyhow::Result<()> {
    let status = Command::new("sh")
        .args([
            "-c",
            r#"kill -s "$1" "$2" 2>/dev/null"#,
            "kill",
            signal,
            &pid.to_string(),
        ])
        .status()
        .context("running kill")?;
    anyhow::ensure!(status.success(), "no process {pid} to send {signal} to");
    Ok(())
}

/// The end of a log, for an error message.
pub(crate) fn last_lines(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

fn read_pid(supervisor: &mut Child) -> anyhow::Result<u32> {
    let output = supervisor.stdout.take().context("the supervisor has no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).context("reading the pid")?;
    line.trim().parse().context("the supervisor gave no pid")
}

/// A shell reports a signal as 128 and its number.
fn describe(code: Option<i32>) -> String {
    match code {
        Some(code) if code > 128 => format!("was ended by signal {}", code - 128),
        Some(code) => format!("exited with status {code}"),
        None => "lost its supervisor".to_owned(),
    }
}
