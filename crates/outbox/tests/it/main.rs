//! The outbox on real Postgres and NATS.

mod consumer;
mod faults;
mod fixture;
mod jobs;
mod relay;
