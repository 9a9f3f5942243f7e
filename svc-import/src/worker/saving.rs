//! Saving batches: svc-bookmarks saves the links, then one transaction notes what became of the rows and moves the cursor.

use std::time::Duration;

use anyhow::Context;
use bookmesh_proto::bookmarks::v1::{UpsertResult, upsert_result};
use service::postgres;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use uuid::Uuid;

use super::{
    Worker,
    heartbeat::Progress,
    reading::{Batch, ReadError},
};
use crate::{
    bookmarks,
    domain::{Import, Outcome, ROW_URL_LIMIT_BYTES, RowOutcome},
    netscape::{Row, prefix},
    store,
    tasks::Lease,
};

/// How long a batch is tried before the attempt is given up.
const PATIENCE: Duration = Duration::from_secs(60);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Saved {
    All,
    Stopped,
    Lost,
}

/// What became of a batch; not noted yet.
struct SavedBatch {
    first: i32,
    rows: Vec<RowOutcome>,
}

impl Worker {
    /// While one batch is with svc-bookmarks, the one before is noted. Never are two with svc-bookmarks at a time: of two
    /// rows with the same link the earlier must come first.
    pub(super) async fn save(
        &self,
        import: &Import,
        lease: Lease,
        mut batches: mpsc::Receiver<Result<Batch, ReadError>>,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> Result<Saved, ReadError> {
        let mut saved: Option<SavedBatch> = None;
        loop {
            let next = stop.run_until_cancelled(batches.recv()).await.flatten().transpose()?;
            let (noted, next_saved) =
                tokio::join!(self.note(import, lease, saved.take()), self.upsert(import, next, stop));
            match noted? {
                Some(rows) => progress.add(rows),
                None => return Ok(Saved::Lost),
            }
            saved = next_saved?;
            if saved.is_none() {
                return Ok(if stop.is_cancelled() {
                    Saved::Stopped
                } else {
                    Saved::All
                });
            }
        }
    }

    /// None when there is no batch, or it was told to stop before the batch was saved.
    async fn upsert(
        &self,
        import: &Import,
        batch: Option<Batch>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<SavedBatch>> {
        let Some(batch) = batch else { return Ok(None) };
        let fit: Vec<&Row> = batch.rows.iter().filter(|row| row.skip.is_none()).collect();
        let results = if fit.is_empty() {
            Some(Vec::new())
        } else {
            self.upsert_patiently(import, batch.first, batch.rows.len(), &fit, stop)
                .await?
        };
        let Some(results) = results else { return Ok(None) };
        anyhow::ensure!(
            results.len() == fit.len(),
            "svc-bookmarks answered {} results for {} links",
            results.len(),
            fit.len()
        );
        let mut results = results.into_iter();
        let rows = batch
            .rows
            .into_iter()
            .map(|row| outcome_of(row, &mut results))
            .collect::<anyhow::Result<_>>()?;
        Ok(Some(SavedBatch {
            first: batch.first,
            rows,
        }))
    }

    async fn upsert_patiently(
        &self,
        import: &Import,
        first: i32,
        rows: usize,
        fit: &[&Row],
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Vec<UpsertResult>>> {
        // Named by its place and length: should a later version of us make other batches, they have other names.
        let batch_id = format!("import/{}/{first}+{rows}", import.id);
        let deadline = Instant::now() + PATIENCE;
        let mut pause = SHORTEST_PAUSE;
        loop {
            let items = fit.iter().map(|row| bookmarks::item(row)).collect();
            let status = match self.bookmarks.upsert(import.owner_id, &batch_id, items).await {
                Ok(results) => return Ok(Some(results)),
                Err(status) => status,
            };
            if !may_pass(&status) || Instant::now() >= deadline {
                return Err(anyhow::Error::new(status).context("having a batch saved"));
            }
            tracing::warn!(error = %status, import.id = %import.id, "a batch is not saved, trying again");
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(None);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// How many rows were noted; none when the import is no longer ours.
    async fn note(&self, import: &Import, lease: Lease, saved: Option<SavedBatch>) -> anyhow::Result<Option<i32>> {
        let Some(batch) = saved else { return Ok(Some(0)) };
        let mut transaction = postgres::begin(&self.pool, import.owner_id)
            .await
            .context("noting a batch")?;
        let now = service::clock::now();
        let ours = store::rows::append(&mut transaction, lease, batch.first, &batch.rows, now).await;
        if !ours.context("noting a batch")? {
            return Ok(None);
        }
        transaction.commit().await.context("noting a batch")?;
        Ok(Some(i32::try_from(batch.rows.len())?))
    }
}

/// Whether the same call may succeed a little later.
fn may_pass(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Cancelled
        | Code::Unknown
        | Code::Unauthenticated
        | Code::Internal => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss => false,
    }
}

fn outcome_of(row: Row, results: &mut impl Iterator<Item = UpsertResult>) -> anyhow::Result<RowOutcome> {
    let mut outcome = RowOutcome {
        line: i32::try_from(row.line).unwrap_or(i32::MAX),
        outcome: Outcome::Skipped,
        reason: String::new(),
        warnings: row.warnings,
        url: prefix(&row.url, ROW_URL_LIMIT_BYTES).to_owned(),
        bookmark_id: None,
    };
    if let Some(reason) = row.skip {
        outcome.reason = reason;
        return Ok(outcome);
    }
    let result = results.next().context("a link has no result")?;
    outcome.outcome = match result.outcome() {
        upsert_result::Outcome::Created => Outcome::Created,
        upsert_result::Outcome::Merged => Outcome::Merged,
        upsert_result::Outcome::Unchanged => Outcome::Unchanged,
        upsert_result::Outcome::Skipped => Outcome::Skipped,
        upsert_result::Outcome::Unspecified => anyhow::bail!("svc-bookmarks did not say what became of a link"),
    };
    if outcome.outcome != Outcome::Skipped {
        outcome.bookmark_id = Some(Uuid::try_parse(&result.bookmark_id).context("reading the id of a bookmark")?);
    }
    outcome.reason = result.reason;
    Ok(outcome)
}
