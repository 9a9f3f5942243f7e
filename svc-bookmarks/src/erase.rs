//! Everything of an owner who was deleted goes. The search index follows by the answer, which it reads among the events.

use anyhow::Context;
use erasure::{Counts, Erase, Names};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store;

pub const NAMES: Names = Names {
    service: crate::NAME,
    consumer: "svc-bookmarks-deletions",
    source: "bookmarks",
    events: &["bookmark_created", "bookmark_updated", "bookmark_deleted"],
};

pub struct EraseBookmarks;

impl Erase for EraseBookmarks {
    async fn erase(&self, connection: &mut PgConnection, owner: Uuid) -> anyhow::Result<Counts> {
        let rows = store::erase(&mut *connection, owner)
            .await
            .context("deleting bookmarks")?;
        let answers = idempotency::forget_owner(connection, owner)
            .await
            .context("deleting kept answers")?;
        Ok(erasure::counts([
            ("bookmarks", rows.bookmarks),
            ("collections", rows.collections),
            ("tags", rows.tags),
            ("import_batches", rows.batches),
            ("kept_answers", answers),
        ]))
    }
}
