//! The edge through its port, with a gRPC service behind it.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod added_rpc;
mod app;
mod caching;
mod conditions;
mod events;
mod health;
mod idempotency;
mod library;
mod never;
mod openapi;
mod problems;
mod requests;
mod server;
mod streams;
mod tokens;
mod uploads;
