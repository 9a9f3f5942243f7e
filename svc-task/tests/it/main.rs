//! svc-task through its port, on real Postgres and NATS.

mod app;
mod cancel;
mod faults;
mod leases;
mod public;
mod states;
mod sweeper;
mod watch;
