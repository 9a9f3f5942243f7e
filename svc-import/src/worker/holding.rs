//! The import's own record, as far as the lease lets us write it.

use anyhow::Context;
use service::postgres;

use super::{Rest, Worker};
use crate::{
    domain::{Ending, Import},
    events, store,
    tasks::Lease,
};

impl Worker {
    pub(super) async fn take(&self, lease: Lease) -> anyhow::Result<Option<Import>> {
        let (owner, id) = (lease.task.owner_id, lease.task.import_id);
        let mut transaction = postgres::begin(&self.pool, owner).await.context("taking an import")?;
        let taken = store::take(&mut transaction, owner, id, lease.token, service::clock::now()).await;
        let taken = taken.context("taking an import")?;
        transaction.commit().await.context("taking an import")?;
        Ok(taken)
    }

    /// A worker before us may have ended the import and died before it could say so to svc-task.
    pub(super) async fn ended_before(&self, lease: Lease) -> anyhow::Result<Rest> {
        let (owner, id) = (lease.task.owner_id, lease.task.import_id);
        let mut transaction = postgres::begin(&self.pool, owner)
            .await
            .context("looking up an import")?;
        let import = store::get(&mut transaction, owner, id)
            .await
            .context("looking up an import")?;
        transaction.commit().await.context("looking up an import")?;
        Ok(import
            .filter(Import::has_ended)
            .map_or(Rest::Lost, |import| Rest::Ended(Box::new(import))))
    }

    pub(super) async fn set_total(&self, lease: Lease, total: i32) -> anyhow::Result<bool> {
        let (owner, id) = (lease.task.owner_id, lease.task.import_id);
        let mut transaction = postgres::begin(&self.pool, owner)
            .await
            .context("noting how many rows there are")?;
        let ours = store::set_total(&mut transaction, owner, id, lease.token, total).await;
        let ours = ours.context("noting how many rows there are")?;
        transaction.commit().await.context("noting how many rows there are")?;
        Ok(ours)
    }

    pub(super) async fn end_or_lost(&self, lease: Lease, ending: &Ending) -> anyhow::Result<Rest> {
        Ok(self
            .end(lease, ending)
            .await?
            .map_or(Rest::Lost, |import| Rest::Ended(Box::new(import))))
    }

    pub(super) async fn end(&self, lease: Lease, ending: &Ending) -> anyhow::Result<Option<Import>> {
        let owner = lease.task.owner_id;
        let mut transaction = postgres::begin(&self.pool, owner).await.context("ending an import")?;
        let ended = store::finish(&mut transaction, lease, ending, service::clock::now()).await;
        let Some(import) = ended.context("ending an import")? else {
            return Ok(None);
        };
        events::put_completed(&mut transaction, &import)
            .await
            .context("ending an import")?;
        transaction.commit().await.context("ending an import")?;
        self.waker.wake();
        tracing::info!(import.id = %import.id, state = import.state.as_str_name(), rows = import.counts.rows, "an import ended");
        Ok(Some(import))
    }
}
