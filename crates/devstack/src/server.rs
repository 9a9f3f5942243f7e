//! A server that can be killed and started again as it was.

use std::{process::ExitStatus, time::Duration};

use anyhow::{Context, ensure};

use crate::{
    ports::{free_port, is_free},
    process::{Launch, Process, last_lines},
};

const READY_WITHIN: Duration = Duration::from_secs(60);
/// A free port can be taken by somebody else before our server has it, and what a killed Postgres leaves behind goes
/// within moments.
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(crate) struct Server {
    launch: Launch,
    process: Option<Process>,
}

impl Server {
    /// Starts what `launch` makes for the named port, or for a free one, and waits until it answers.
    pub(crate) fn start(
        named: Option<u16>,
        launch: impl Fn(u16) -> anyhow::Result<Launch>,
    ) -> anyhow::Result<(Server, u16)> {
        if let Some(port) = named {
            let launch = launch(port)?;
            ensure!(is_free(port), "port {port} for {} is in use", launch.name);
            let process = launch.start(READY_WITHIN)?;
            return Ok((
                Server {
                    launch,
                    process: Some(process),
                },
                port,
            ));
        }
        let mut attempt = 1;
        loop {
            let port = free_port();
            let launch = launch(port)?;
            match launch.start(READY_WITHIN) {
                Ok(process) => {
                    return Ok((
                        Server {
                            launch,
                            process: Some(process),
                        },
                        port,
                    ));
                }
                Err(_) if attempt < ATTEMPTS && !is_free(port) => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts without waiting; [`Server::wait`] does.
    pub(crate) fn spawn(launch: Launch) -> anyhow::Result<Server> {
        let process = launch.spawn()?;
        Ok(Server {
            launch,
            process: Some(process),
        })
    }

    pub(crate) fn wait(&mut self) -> anyhow::Result<()> {
        let process = self
            .process
            .as_mut()
            .with_context(|| format!("{} does not run", self.launch.name))?;
        process.wait_until_ready(&self.launch.probe, READY_WITHIN)
    }

    /// How it is started.
    pub(crate) fn launch(&self) -> &Launch {
        &self.launch
    }

    pub(crate) fn name(&self) -> &str {
        &self.launch.name
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.process
            .take()
            .with_context(|| format!("{} does not run", self.launch.name))?
            .kill()
    }

    /// Asks it to stop, and returns at once; dropping the server waits.
    pub(crate) fn begin_to_stop(&mut self) {
        if let Some(process) = self.process.as_mut() {
            process.begin_to_stop();
        }
    }

    /// Answers how it ended, when it has stopped.
    pub(crate) fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        self.process
            .take()
            .with_context(|| format!("{} does not run", self.launch.name))?
            .stop()
    }

    #[expect(clippy::disallowed_methods, reason = "callers are on a thread that may block")]
    /// The same server on the same port; returns when it answers.
    pub(crate) fn start_again(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "{} runs already", self.launch.name);
        let mut attempt = 1;
        loop {
            match self.launch.start(READY_WITHIN) {
                Ok(process) => {
                    self.process = Some(process);
                    return Ok(());
                }
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// When it has ended by itself: its name, how, and what it said last.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let ending = self.process.as_mut()?.ended().ok()??;
        let log = &self.launch.log;
        Some(format!(
            "{} {ending}; the end of {}:\n{}",
            self.name(),
            log.display(),
            last_lines(log)
        ))
    }
}
