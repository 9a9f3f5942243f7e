//! The whole platform in one folder: the stores and the six processes, as `make up` runs them and the system tests too.

mod ports;
mod programs;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};

pub use self::{
    ports::PlatformPorts,
    programs::{PROGRAMS, Program},
};
use crate::{
    Devstack, Keep, create_schema, free_port, keys,
    process::{Launch, last_lines},
    ready::Probe,
    server::Server,
    temporary::TemporaryFolder,
};

/// Longer than a process may take to drain.
const PATIENCE: Duration = Duration::from_secs(35);

/// How to start a [`Platform`].
#[derive(Debug, Clone)]
pub struct PlatformOptions {
    /// Everything that is kept: the stores' data, objects, the index, keys, logs.
    pub folder: PathBuf,
    /// Where the six binaries are.
    pub binaries: PathBuf,
    pub ports: PlatformPorts,
    pub keep: Keep,
    /// Variables for every process, stronger than our own.
    pub environment: Vec<(String, String)>,
    /// Told what is being done.
    pub report: fn(&str),
}

/// Another instance of one of the six. Dropping it stops it.
#[derive(Debug)]
pub struct SecondInstance(Server);

impl SecondInstance {
    /// Stops it gracefully; answers how it ended, when it is gone.
    pub fn stop(mut self) -> anyhow::Result<ExitStatus> {
        self.0.stop()
    }
}

/// A running platform. Dropping it stops it: the edge, then the services, then the stores.
#[derive(Debug)]
pub struct Platform {
    /// In the order of [`PROGRAMS`].
    servers: Vec<Mutex<Server>>,
    stack: Devstack,
    ports: PlatformPorts,
    folder: PathBuf,
    // Fields are dropped in order, and the folder goes last.
    temporary: Option<TemporaryFolder>,
}

impl Platform {
    /// Starts the stores, lays out and migrates every schema, starts the six and waits until all are ready.
    pub async fn start(options: PlatformOptions) -> anyhow::Result<Platform> {
        options.ports.check_free()?;
        (options.report)("starting Postgres, Redis and NATS");
        let stack = Devstack::start_keeping(&options.folder, options.ports.stores, options.keep).await?;
        let folder = stack.folder().to_owned();
        for subfolder in ["objects", "index"] {
            fs::create_dir_all(folder.join(subfolder)).with_context(|| format!("making {subfolder}"))?;
        }
        keys::generate(&folder.join("keys"), &PROGRAMS.map(|program| program.name))?;
        for program in &PROGRAMS {
            if let Some(schema) = program.schema {
                (options.report)(&format!("migrating the schema {schema}"));
                create_schema(&stack.postgres_url("postgres"), schema).await?;
                migrate(program, schema, &options, &stack)?;
            }
        }
        (options.report)("starting the six processes");
        let servers = tokio::task::spawn_blocking({
            let launches = PROGRAMS.map(|program| launch(&program, &options, &stack));
            move || start_all(launches)
        })
        .await??;
        Ok(Platform {
            servers,
            stack,
            ports: options.ports,
            folder,
            temporary: None,
        })
    }

    /// Starts a platform on free ports in a folder that goes with it, and with this process however that ends.
    pub async fn start_temporary(binaries: &Path, environment: Vec<(String, String)>) -> anyhow::Result<Platform> {
        let temporary = TemporaryFolder::new()?;
        let options = PlatformOptions {
            folder: temporary.path().to_owned(),
            binaries: binaries.to_owned(),
            ports: PlatformPorts::free(),
            keep: Keep::ForTests,
            environment,
            report: |_| (),
        };
        let mut platform = Platform::start(options).await?;
        platform.temporary = Some(temporary);
        Ok(platform)
    }

    /// `http://127.0.0.1:port` of the edge.
    pub fn edge_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.edge())
    }

    /// `http://127.0.0.1:port` of a service's gRPC.
    ///
    /// # Panics
    /// When no program has this name, as do all methods that take one.
    pub fn service_address(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.ports.serving(program(name)))
    }

    /// `http://127.0.0.1:port` of a process's metrics and health.
    pub fn admin_address(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.ports.admin(program(name)))
    }

    /// The stores, which can be killed and wiped too.
    pub fn stack(&self) -> &Devstack {
        &self.stack
    }

    /// Holds `log/<name>.log`, `objects`, `index`, `keys` and the stores' data.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The process id, unless it was killed.
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.server(name).pid()
    }

    /// Ends a process without warning, as `kill -9` does; returns when it is gone.
    pub fn kill(&self, name: &str) -> anyhow::Result<()> {
        self.server(name).kill()
    }

    /// Stops a process gracefully, as SIGTERM does; answers how it ended, when it is gone.
    pub fn stop_process(&self, name: &str) -> anyhow::Result<ExitStatus> {
        self.server(name).stop()
    }

    /// Starts a process again that was killed or stopped; returns when it is ready.
    pub fn restart(&self, name: &str) -> anyhow::Result<()> {
        self.server(name).start_again()
    }

    /// Starts a second instance of a process, on the same port: both need `<PREFIX>_REUSE_PORT`. Returns when it is ready.
    pub fn start_second(&self, name: &str) -> anyhow::Result<SecondInstance> {
        let first = self.server(name).launch().clone();
        let second = programs::second(program(name), first, &self.folder, free_port());
        let mut server = Server::spawn(second)?;
        server.wait()?;
        Ok(SecondInstance(server))
    }

    /// The first of all processes that has ended by itself: its name, how, and what it said last.
    pub fn ended(&self) -> Option<String> {
        let program_ended = self.servers.iter().find_map(|server| lock(server).ended());
        program_ended.or_else(|| self.stack.ended())
    }

    /// Stops everything, and returns when it is gone.
    pub async fn stop(self) {
        // Dropping waits for each process; a panic in there has been reported already.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    fn server(&self, name: &str) -> MutexGuard<'_, Server> {
        lock(&self.servers[program(name).index()])
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // The edge first, so that what it has taken in still finds its service. One that does not run needs no stopping.
        let _ = self.server(programs::EDGE.name).stop();
        for server in &self.servers {
            lock(server).begin_to_stop();
        }
        for server in &self.servers {
            let _ = lock(server).stop();
        }
    }
}

/// Where cargo has put the binaries, seen from a test binary in `deps/` beside them.
pub fn binaries_beside_this_test() -> anyhow::Result<PathBuf> {
    let own_path = env::current_exe().context("finding our own binary")?;
    Ok(own_path
        .ancestors()
        .nth(2)
        .context("our own binary is in no target folder")?
        .to_owned())
}

fn launch(program: &Program, options: &PlatformOptions, stack: &Devstack) -> Launch {
    let folder = stack.folder();
    let mut environment = program.environment(folder, &options.ports, stack);
    environment.extend(options.environment.iter().cloned());
    Launch {
        name: program.name.to_owned(),
        command: vec![options.binaries.join(program.name).into_os_string()],
        environment,
        current_folder: folder.to_owned(),
        log: log(folder, program),
        pid_file: folder.join(format!("{}.pid", program.name)),
        stop_signal: "TERM",
        patience: PATIENCE,
        probe: Probe::Http {
            port: ports_probe(program, &options.ports),
            path: "/health/ready",
        },
    }
}

/// The edge is ready when its own port says so: that is what its users see.
fn ports_probe(program: &Program, ports: &PlatformPorts) -> u16 {
    if *program == programs::EDGE {
        ports.edge()
    } else {
        ports.admin(program)
    }
}

/// All at once: they wait for each other.
fn start_all(launches: [Launch; 6]) -> anyhow::Result<Vec<Mutex<Server>>> {
    let mut servers = launches.into_iter().map(Server::spawn).collect::<Result<Vec<_>, _>>()?;
    for server in &mut servers {
        server.wait()?;
    }
    Ok(servers.into_iter().map(Mutex::new).collect())
}

fn migrate(program: &Program, schema: &str, options: &PlatformOptions, stack: &Devstack) -> anyhow::Result<()> {
    let log = log(stack.folder(), program);
    let output = fs::File::options()
        .create(true)
        .append(true)
        .open(&log)
        .context("opening a log")?;
    let status = Command::new(options.binaries.join(program.name))
        .arg("migrate")
        .envs(program.environment(stack.folder(), &options.ports, stack))
        .envs(program.migration_environment(schema, stack))
        .stdout(output.try_clone()?)
        .stderr(output)
        .status()
        .with_context(|| format!("running {} migrate", program.name))?;
    ensure!(
        status.success(),
        "{} migrate ended with {status}; its last lines:\n{}",
        program.name,
        last_lines(&log)
    );
    Ok(())
}

fn log(folder: &Path, program: &Program) -> PathBuf {
    folder.join("log").join(format!("{}.log", program.name))
}

fn program(name: &str) -> &'static Program {
    Program::named(name).unwrap_or_else(|| panic!("no program is called {name}"))
}

fn lock(server: &Mutex<Server>) -> MutexGuard<'_, Server> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}
