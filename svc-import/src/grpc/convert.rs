//! Between the messages and the domain.

use bookmesh_proto::imports::v1::{Import as ImportMessage, ImportRow, import};
use service::{status::Violation, time};

use crate::domain::{Counts, Import, Outcome, RowOutcome, StoredFailure};

pub(crate) fn to_proto(import: &Import) -> ImportMessage {
    ImportMessage {
        id: import.id.to_string(),
        task_id: import.task_id.to_string(),
        state: import.state.into(),
        file_name: import.file_name.clone(),
        size_bytes: import.size_bytes,
        counts: Some(counts_to_proto(import.counts)),
        failure: import.failure.as_ref().map(failure_to_proto),
        create_time: Some(time::to_proto(import.created_at)),
        update_time: Some(time::to_proto(import.updated_at)),
    }
}

fn counts_to_proto(counts: Counts) -> import::Counts {
    import::Counts {
        rows: counts.rows,
        created: counts.created,
        merged: counts.merged,
        unchanged: counts.unchanged,
        skipped: counts.skipped,
        warnings: counts.warnings,
    }
}

fn failure_to_proto(failure: &StoredFailure) -> import::Failure {
    import::Failure {
        reason: failure.reason.clone(),
        line: failure.line,
        description: failure.description.clone(),
    }
}

pub(super) fn row_to_proto(row: RowOutcome) -> ImportRow {
    ImportRow {
        line: row.line,
        outcome: row.outcome.into(),
        reason: row.reason,
        warnings: row.warnings,
        url: row.url,
        bookmark_id: row.bookmark_id.map(|id| id.to_string()).unwrap_or_default(),
    }
}

pub(super) fn outcome_filter(value: i32) -> Result<Option<Outcome>, Violation> {
    match Outcome::try_from(value) {
        Ok(Outcome::Unspecified) => Ok(None),
        Ok(outcome) => Ok(Some(outcome)),
        Err(_) => Err(Violation::new(
            "outcome",
            "must be CREATED, MERGED, UNCHANGED or SKIPPED",
        )),
    }
}
