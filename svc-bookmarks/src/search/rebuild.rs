//! Bringing the index in step with Postgres, owner by owner, while searches and writes go on.

use std::collections::HashSet;

use anyhow::Context;
use service::postgres;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    domain::Bookmark,
    search::{Search, follow::blocking, writer::Writer},
    store,
};

const OWNERS: i64 = 500;
const BOOKMARKS: i64 = 500;
/// Searches see what is there so far, in steps of so many bookmarks.
const COMMIT_AFTER: usize = 5_000;

pub(super) struct Rebuild<'a> {
    pub(super) pool: &'a PgPool,
    pub(super) search: &'a Search,
    pub(super) shutdown: &'a CancellationToken,
}

impl Rebuild<'_> {
    /// Answers none when it was stopped on the way.
    pub(super) async fn run(&self, writer: Writer) -> anyhow::Result<Option<Writer>> {
        let mut writer = self.forget_deleted_owners(writer).await?;
        let mut uncommitted = 0;
        let mut reached = Vec::new();
        let mut last = Uuid::nil();
        loop {
            let owners = store::next_owners(self.pool, last, OWNERS)
                .await
                .context("listing owners")?;
            let Some(newest) = owners.last() else { break };
            last = *newest;
            for owner in owners {
                if self.shutdown.is_cancelled() {
                    return Ok(None);
                }
                let version;
                (writer, version) = self.owner(writer, owner, &mut uncommitted).await?;
                reached.push((owner, version));
                if uncommitted >= COMMIT_AFTER {
                    uncommitted = 0;
                    writer = blocking(writer, |writer| Ok(writer.commit(None)?)).await?;
                    self.search.progress.advance(reached.drain(..));
                }
            }
        }
        let writer = blocking(writer, |writer| Ok(writer.commit(None)?)).await?;
        self.search.progress.advance(reached);
        Ok(Some(writer))
    }

    /// They are no longer among the owners, and an index that was away may still have what was theirs.
    async fn forget_deleted_owners(&self, mut writer: Writer) -> anyhow::Result<Writer> {
        let mut last = Uuid::nil();
        loop {
            let owners = erasure::deleted_owners(self.pool, last, OWNERS)
                .await
                .context("listing deleted owners")?;
            let Some(newest) = owners.last() else { return Ok(writer) };
            last = *newest;
            writer = blocking(writer, move |writer| {
                owners.into_iter().for_each(|owner| writer.forget(owner));
                Ok(())
            })
            .await?;
        }
    }

    async fn owner(&self, mut writer: Writer, owner: Uuid, written: &mut usize) -> anyhow::Result<(Writer, i64)> {
        let mut transaction = postgres::begin(self.pool, owner).await?;
        let version = store::version_of(&mut transaction, owner).await?;
        transaction.commit().await?;
        let mut kept = HashSet::new();
        let mut last = Uuid::nil();
        loop {
            let page = self.page(owner, last).await?;
            let Some(newest) = page.last() else { break };
            last = newest.id;
            kept.extend(page.iter().map(|bookmark| bookmark.id));
            *written += page.len();
            writer = blocking(writer, move |writer| {
                page.iter()
                    .try_for_each(|bookmark| writer.put(owner, bookmark))
                    .context("indexing bookmarks")
            })
            .await?;
        }
        let writer = blocking(writer, move |writer| Ok(writer.keep_only(owner, &kept, version)?)).await?;
        Ok((writer, version))
    }

    /// A short transaction each: a long one would hold back the cleaning of the database.
    async fn page(&self, owner: Uuid, after: Uuid) -> anyhow::Result<Vec<Bookmark>> {
        let mut transaction = postgres::begin(self.pool, owner).await?;
        let page = store::page_by_id(&mut transaction, owner, after, BOOKMARKS).await?;
        transaction.commit().await?;
        Ok(page)
    }
}
