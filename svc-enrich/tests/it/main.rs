//! svc-enrich through its port and its events, on real Postgres and NATS.

#![expect(clippy::unwrap_used, reason = "what cannot be arranged fails the test")]

mod app;
mod events;
mod promises;
mod rpc;
