//! svc-task through its port, on real Postgres and NATS.

#![expect(clippy::unwrap_used, reason = "what cannot be arranged fails the test")]

mod app;
mod cancel;
mod faults;
mod leases;
mod public;
mod states;
mod sweeper;
mod watch;
