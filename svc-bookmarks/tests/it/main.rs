//! svc-bookmarks through its port, on a real Postgres and NATS.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod app;
mod batches;
mod create;
mod degraded;
mod healing;
mod idempotency;
mod isolation;
mod lists;
mod search;
mod update;
