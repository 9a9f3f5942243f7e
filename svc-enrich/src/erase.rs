//! Everything of an owner who was deleted goes.

use anyhow::Context;
use erasure::{Counts, Erase, Names};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store;

pub(crate) const NAMES: Names = Names {
    service: crate::NAME,
    consumer: "svc-enrich-deletions",
    source: "enrich",
    events: &["enrichment_completed"],
};

pub(crate) struct EraseEnrichments;

impl Erase for EraseEnrichments {
    async fn erase(&self, connection: &mut PgConnection, owner: Uuid) -> anyhow::Result<Counts> {
        let enrichments = store::erase(connection, owner).await.context("deleting proposals")?;
        Ok(erasure::counts([("enrichments", enrichments)]))
    }
}
