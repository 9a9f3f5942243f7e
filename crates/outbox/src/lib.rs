//! Events: written in the transaction of the change, carried to JetStream, handled once.
//!
//! In the order of an event's life: [`put`] writes it next to the change, [`Relay`] publishes it, [`consume`] hands it to
//! a [`Handler`] in a transaction that also remembers that it was handled. [`Jobs`] is the work queue. Postgres is the
//! record of all of it: what JetStream has lost is published again from the rows of the last seven days.

mod consumer;
mod event;
mod forget;
mod headers;
mod jobs;
mod metrics;
mod nats;
mod outbox;
mod pull;
mod relay;
mod store;
mod streams;

use sqlx::migrate::Migrator;

pub use crate::{
    consumer::{ConsumerConfig, Handler, consume},
    event::Event,
    forget::{forget_owner, forget_published, purge},
    jobs::{JobMessage, Jobs},
    metrics::Metrics,
    nats::connect_nats,
    outbox::{Change, NewEvent, changes_after, put, subject},
    relay::{Relay, Waker},
    streams::EVENTS_STREAM,
};

/// The tables, to be made in the schema of the service that uses this crate.
pub static MIGRATOR: Migrator = sqlx::migrate!();
