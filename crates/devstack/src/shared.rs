//! The one stack that all tests of a process share.

use std::sync::OnceLock;

use crate::{Devstack, Ports};

static SHARED: OnceLock<Devstack> = OnceLock::new();

/// One stack per test process, started on first use in a temporary folder, gone when the process ends in any way.
///
/// It is held by no tokio runtime: tests come and go with runtimes of their own.
///
/// # Panics
/// When the servers do not start: no test can go on without them.
pub async fn shared() -> &'static Devstack {
    let start =
        || SHARED.get_or_init(|| Devstack::start_temporary_blocking(Ports::default()).expect("the test servers start"));
    tokio::task::spawn_blocking(start)
        .await
        .expect("the test servers start")
}
