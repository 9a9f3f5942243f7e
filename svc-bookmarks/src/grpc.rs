//! The RPCs: who, parse, do, reply.

mod bookmarks;
mod create;
mod delete;
mod fields;
mod internal;
mod list;
mod lists;
mod look;
mod replies;
mod update;

use std::sync::Arc;

use outbox::Waker;
use sqlx::PgPool;

use crate::search::Search;

/// A batch of 500 links with descriptions is larger than gRPC's 4 MiB. A title of 10 MB is refused by its own rule.
pub const MAX_MESSAGE_BYTES: usize = 40 * 1024 * 1024;

#[derive(Clone)]
pub struct Bookmarks {
    pub pool: PgPool,
    pub search: Arc<Search>,
    pub waker: Waker,
}
