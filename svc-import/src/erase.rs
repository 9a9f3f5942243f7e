//! Everything of an owner who was deleted goes: imports with their rows, and the uploaded files.

use anyhow::Context;
use erasure::{Counts, Erase, Names};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{objects::Objects, store};

pub(crate) const NAMES: Names = Names {
    service: crate::NAME,
    consumer: "svc-import-deletions",
    source: "imports",
    events: &["import_completed"],
};

pub(crate) struct EraseImports {
    pub(crate) objects: Objects,
}

impl Erase for EraseImports {
    /// The files go before the commit: killed in between, the rows are still there and all is done again. A worker in the
    /// middle of a file finds its import gone with the next batch.
    async fn erase(&self, connection: &mut PgConnection, owner: Uuid) -> anyhow::Result<Counts> {
        let (imports, rows) = store::erase(&mut *connection, owner)
            .await
            .context("deleting imports")?;
        let answers = idempotency::forget_owner(connection, owner)
            .await
            .context("deleting kept answers")?;
        let files = self.objects.delete_all(owner).await?;
        Ok(erasure::counts([
            ("imports", imports),
            ("import_rows", rows),
            ("files", files),
            ("kept_answers", answers),
        ]))
    }
}
