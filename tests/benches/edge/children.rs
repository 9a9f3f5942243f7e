//! The processes of a run: started, found by their port, and ended with it.

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use system_tests::{Usage, usage};

const START_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(1);

/// A process that is killed when this is dropped.
pub struct Process {
    child: Child,
    pub port: u16,
    /// From its start until it was ready.
    pub started_in: Duration,
}

impl Process {
    /// This program again, in another role; it tells its port itself.
    pub fn of_own(arguments: &[&str]) -> Result<Self> {
        let own = env::current_exe().context("finding our own binary")?;
        let started = Instant::now();
        let mut child = Command::new(own).args(arguments).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port = line.trim().parse().context("it says its port first")?;
        Ok(Self {
            child,
            port,
            started_in: started.elapsed(),
        })
    }

    /// A server on `port`, ready when it answers 200 to a GET of `probe`. What it prints goes to the file `log`.
    pub fn of_server(command: &mut Command, port: u16, probe: &str, log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("making {}", log.display()))?;
        let started = Instant::now();
        let child = command.stdout(output.try_clone()?).stderr(output).spawn();
        let mut process = Self {
            child: child.with_context(|| format!("starting {:?}", command.get_program()))?,
            port,
            started_in: Duration::ZERO,
        };
        while !answers_ok(port, probe) {
            if started.elapsed() > START_TIMEOUT || process.child.try_wait()?.is_some() {
                bail!("{:?} did not start, see {}", command.get_program(), log.display());
            }
            pause();
        }
        process.started_in = started.elapsed();
        Ok(process)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn usage(&self) -> Result<Usage> {
        usage(self.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder that goes with its value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Result<Self> {
        let path = env::temp_dir().join(format!("bookmesh-bench-edge-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Tells our parent where we listen.
#[expect(clippy::print_stdout, reason = "the parent reads it there")]
pub fn announce(port: u16) {
    println!("{port}");
    // A parent that is gone has killed us.
    let _ = std::io::stdout().flush();
}

/// One thread, as our services have.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn answers_ok(port: u16, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    let mut head = [0; 12];
    stream.write_all(request.as_bytes()).is_ok() && stream.read_exact(&mut head).is_ok() && head.ends_with(b"200")
}

#[expect(clippy::disallowed_methods, reason = "this thread has nothing else to do")]
fn pause() {
    thread::sleep(POLL);
}
