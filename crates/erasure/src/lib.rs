//! Deleting everything that a service keeps of a user, once svc-auth says that the user is no more, and answering with what
//! was deleted. Start reading at [`Erase`].

mod handler;
mod settle;
mod store;

use std::{collections::BTreeMap, future::Future, sync::Arc};

use async_nats::Client;
use outbox::ConsumerConfig;
use service::Service;
use sqlx::{PgConnection, PgPool, migrate::Migrator};
use uuid::Uuid;

use crate::handler::Eraser;
pub use crate::{handler::ANSWER, store::deleted_owners};

const USER_DELETED_SUBJECTS: &str = "evt.auth.user_deleted.*";

/// The table of deleted owners and the trigger's function, to be made in the schema of the service that uses this crate.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// How many rows or files of each kind were deleted.
pub type Counts = BTreeMap<String, i64>;

/// What a service does when a user is deleted.
pub trait Erase: Send + Sync {
    /// Deletes all that the service keeps of the owner, in the transaction of `connection`, which belongs to them and keeps
    /// other writers out. What is not in Postgres goes before the answer too. It may come again, and then finds nothing.
    fn erase(&self, connection: &mut PgConnection, owner: Uuid) -> impl Future<Output = anyhow::Result<Counts>> + Send;
}

/// What a service that erases is called.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// Its folder, such as `svc-bookmarks`: who answers.
    pub service: &'static str,
    /// Its durable consumer, for ever.
    pub consumer: &'static str,
    /// The word in its events, such as `bookmarks`.
    pub source: &'static str,
    /// Its events with content of the owner's: `evt.<source>.<event>` each. The stream forgets them.
    pub events: &'static [&'static str],
}

/// Has the process delete what svc-auth tells of, and clear up after that.
pub fn start<E: Erase + 'static>(
    service: &Service,
    pool: &PgPool,
    nats: &Client,
    metrics: outbox::Metrics,
    names: Names,
    erase: E,
) {
    let deletions = outbox::consume(
        ConsumerConfig::new(names.consumer, USER_DELETED_SUBJECTS),
        pool.clone(),
        nats.clone(),
        Arc::new(Eraser { names, erase }),
        metrics,
        service.shutdown(),
    );
    service.spawn("deleted users", deletions);
    let settling = settle::settle(pool.clone(), nats.clone(), names, service.shutdown());
    service.spawn("what is left of deleted users", settling);
}

/// Counts from pairs of a kind and how many rows there were.
pub fn counts<const N: usize>(kinds: [(&str, u64); N]) -> Counts {
    let signed = |count| i64::try_from(count).unwrap_or(i64::MAX);
    kinds
        .map(|(kind, count)| (kind.to_owned(), signed(count)))
        .into_iter()
        .collect()
}
