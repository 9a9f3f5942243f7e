//! A service in a thread and a runtime of its own, that can be killed like a process.

use std::{future::Future, net::SocketAddr, thread};

use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::oneshot,
};

pub struct Process {
    address: SocketAddr,
    kill: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Process {
    /// Runs a service on a free port of this machine.
    pub fn start<F>(run: impl FnOnce(TcpListener) -> F + Send + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        Self::start_on(0, run)
    }

    pub fn start_on<F>(port: u16, run: impl FnOnce(TcpListener) -> F + Send + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        listener.set_nonblocking(true).expect("a listener can be non-blocking");
        let address = listener.local_addr().expect("a listener has an address");
        let (kill, killed) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = runtime();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("the listener is taken over");
                tokio::select! {
                    outcome = run(listener) => outcome.expect("the service runs"),
                    _ = killed => {}
                }
            });
            runtime.shutdown_background();
        });
        Self {
            address,
            kill: Some(kill),
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Drops everything that the service is doing, wherever it is.
    pub fn kill(mut self) {
        self.kill.take();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the service did not panic");
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
}
