//! Keeping the lease while the work goes on, and saying how far it is.

use std::{
    sync::atomic::{AtomicI32, Ordering},
    time::Duration,
};

use bookmesh_proto::task::v1::task;
use tonic::Code;

use crate::tasks::{Lease, Tasks};

/// Often enough that whoever watches sees it move; a fifteenth of the lease.
const EVERY: Duration = Duration::from_secs(1);

/// Why the work is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Cancel,
    Lost,
}

/// Rows dealt with, and rows in all.
#[derive(Debug, Default)]
pub(super) struct Progress {
    done: AtomicI32,
    total: AtomicI32,
}

impl Progress {
    pub(super) fn set(&self, done: i32, total: i32) {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    pub(super) fn add(&self, done: i32) {
        self.done.fetch_add(done, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> task::Progress {
        task::Progress {
            done: self.done.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
        }
    }
}

/// Beats until svc-task says to stop. While svc-task is away the work goes on: should the lease run out, the store
/// refuses what is written under it once somebody else has a newer one.
pub(super) async fn beat(tasks: &Tasks, lease: Lease, progress: &Progress) -> Signal {
    loop {
        tokio::time::sleep(EVERY).await;
        match tasks.heartbeat(lease, progress.get()).await {
            Ok(false) => {}
            Ok(true) => return Signal::Cancel,
            Err(status) if matches!(status.code(), Code::Aborted | Code::NotFound | Code::FailedPrecondition) => {
                tracing::info!(error = %status, "the lease of a task is lost");
                return Signal::Lost;
            }
            Err(status) => tracing::warn!(error = %status, "a heartbeat was not heard"),
        }
    }
}
