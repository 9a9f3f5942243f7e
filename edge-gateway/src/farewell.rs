//! How the edge parts from its callers: nobody new is let in, who is here is answered and asked to leave, and only then
//! the doors close.
//!
//! Actix alone would close every connection at once that has no request in work, also one whose next request is on its way
//! or has arrived unread (`poll_graceful_shutdown` of actix-http: a connection that drains reads no more), and it would drop
//! those that its accepting thread has taken and no worker has looked at.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use anyhow::Context;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// Long enough for every caller in the middle of its work to get one more answer, which says `Connection: close`.
const LEAVING: Duration = Duration::from_secs(1);

pub(crate) struct Farewell {
    /// Connections that are open.
    guests: TaskTracker,
    /// The same socket as the server's.
    listener: TcpStream,
}

impl Farewell {
    pub(crate) fn new(listener: &TcpListener) -> anyhow::Result<Self> {
        let listener = listener.try_clone().context("taking a second hold of the listener")?;
        Ok(Self {
            guests: TaskTracker::new(),
            // std can shut a socket down only as a stream; which kind it is, only the kernel knows.
            listener: TcpStream::from(OwnedFd::from(listener)),
        })
    }

    /// Each connection holds a token of it.
    pub(crate) fn guests(&self) -> TaskTracker {
        self.guests.clone()
    }

    /// Returns when all connections are gone, or had time to go.
    pub(crate) async fn let_callers_leave(&self, server: &ServerHandle) {
        server.pause().await;
        if let Err(error) = self.stop_listening() {
            tracing::warn!(error = %error, "the port stays open until the connections are closed");
        }
        self.guests.close();
        // Who is still here has nothing to say.
        let _ = timeout(LEAVING, self.guests.wait()).await;
    }

    /// Paused, Actix would leave new connections waiting; now they go to another instance on this port, or are refused.
    fn stop_listening(&self) -> io::Result<()> {
        self.listener.shutdown(Shutdown::Read)
    }
}
