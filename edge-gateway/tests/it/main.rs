//! The edge through its port, with a gRPC service behind it.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod added_rpc;
mod app;
mod balancing;
mod caching;
mod compression;
mod conditions;
mod cors;
mod events;
mod heads;
mod health;
mod idempotency;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod library;
mod limits;
mod never;
mod openapi;
mod operations;
mod pages;
mod problems;
mod process;
mod reasons;
mod reload;
mod replica;
mod requests;
mod resilience;
mod routing;
mod server;
mod slow;
mod stopping;
mod streams;
mod tokens;
mod unsteady;
mod uploads;
