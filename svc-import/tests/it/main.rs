//! svc-import through its port, with the real svc-task, svc-bookmarks, Postgres, NATS and object folder.

#![expect(clippy::unwrap_used, reason = "what cannot be arranged fails the test")]

mod app;
mod bad_files;
mod faults;
mod idempotency;
mod isolation;
mod lists;
mod process;
mod uploads;
