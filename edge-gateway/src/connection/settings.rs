//! The table `[connections]` of the settings.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How many connections there may be, and how slow a caller may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionSettings {
    /// At once, for the whole process; more wait to be accepted. Read at the start alone.
    pub maximum: usize,
    /// At once from one address; more are closed. 0, the default, is no limit: behind a proxy or in a mesh, all come from one.
    pub maximum_per_address: u32,
    /// For the head of a request, from its first byte.
    pub head_ms: u64,
    /// How long a connection stays open without a request.
    pub keep_alive_ms: u64,
    /// For the next piece of a body.
    pub body_idle_ms: u64,
    /// For a body that is kept in memory; one that is streamed has the time of its call.
    pub body_ms: u64,
    /// A file that is streamed comes at least so fast; 0 lets it take all the time of its call.
    pub upload_bytes_per_second: u64,
    /// How far it may be behind that.
    pub upload_grace_ms: u64,
    /// For the caller to take something of an answer that waits for it.
    pub write_ms: u64,
}

impl ConnectionSettings {
    pub(crate) const DEFAULT: Self = Self {
        maximum: 20_000,
        maximum_per_address: 0,
        head_ms: 10_000,
        keep_alive_ms: 75_000,
        body_idle_ms: 10_000,
        body_ms: 30_000,
        upload_bytes_per_second: 1_000,
        upload_grace_ms: 20_000,
        write_ms: 30_000,
    };

    pub(crate) fn head(&self) -> Duration {
        Duration::from_millis(self.head_ms)
    }

    pub(crate) fn keep_alive(&self) -> Duration {
        Duration::from_millis(self.keep_alive_ms)
    }

    pub(crate) fn body_idle(&self) -> Duration {
        Duration::from_millis(self.body_idle_ms)
    }

    pub(crate) fn body(&self) -> Duration {
        Duration::from_millis(self.body_ms)
    }

    pub(crate) fn upload_grace(&self) -> Duration {
        Duration::from_millis(self.upload_grace_ms)
    }

    pub(crate) fn write(&self) -> Duration {
        Duration::from_millis(self.write_ms)
    }

    /// How often a connection looks whether it has time left: it ends at most so much late.
    pub(super) fn look(&self) -> Duration {
        (self.head().min(self.write()) / 2).max(Duration::from_millis(10))
    }
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}
