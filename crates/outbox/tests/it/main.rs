//! The outbox on real Postgres and NATS.

#![expect(clippy::unwrap_used, reason = "what cannot be arranged fails the test")]

mod consumer;
mod faults;
mod fixture;
mod jobs;
mod relay;
