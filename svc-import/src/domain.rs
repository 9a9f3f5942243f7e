//! What an import is here, and the rules that need nothing else.

use bookmesh_proto::imports::v1::{import, import_row};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::failure::Failure;

pub(crate) use import::State;
pub(crate) use import_row::Outcome;

/// How much of a URL is kept with its row.
pub(crate) const ROW_URL_LIMIT_BYTES: usize = 2_048;

/// One file on its way in.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) task_id: Uuid,
    pub(crate) state: State,
    pub(crate) file_name: String,
    pub(crate) size_bytes: i64,
    /// Rows in the whole file; 0 until it has been counted.
    pub(crate) total_rows: i32,
    pub(crate) counts: Counts,
    pub(crate) failure: Option<StoredFailure>,
    pub(crate) version: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
}

/// Rows by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) rows: i32,
    pub(crate) created: i32,
    pub(crate) merged: i32,
    pub(crate) unchanged: i32,
    pub(crate) skipped: i32,
    pub(crate) warnings: i32,
}

/// A failure as it was written down, perhaps by a version of us that knew other reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredFailure {
    pub(crate) reason: String,
    pub(crate) line: i32,
    pub(crate) description: String,
}

/// How an import ends.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    Completed,
    Failed(Failure),
    Cancelled,
}

/// What became of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowOutcome {
    pub(crate) line: i32,
    pub(crate) outcome: Outcome,
    pub(crate) reason: String,
    pub(crate) warnings: Vec<String>,
    pub(crate) url: String,
    pub(crate) bookmark_id: Option<Uuid>,
}

impl Import {
    pub(crate) fn has_ended(&self) -> bool {
        match self.state {
            State::Queued | State::Running | State::Unspecified => false,
            State::Completed | State::CompletedWithWarnings | State::Failed | State::Cancelled => true,
        }
    }
}

impl Ending {
    /// The state to end in, given the rows that there were.
    pub(crate) fn state(&self, counts: Counts) -> State {
        match self {
            Self::Completed if counts.skipped > 0 || counts.warnings > 0 => State::CompletedWithWarnings,
            Self::Completed => State::Completed,
            Self::Failed(_) => State::Failed,
            Self::Cancelled => State::Cancelled,
        }
    }

    pub(crate) fn failure(&self) -> Option<StoredFailure> {
        match self {
            Self::Failed(failure) => Some(StoredFailure {
                reason: failure.reason.as_str().to_owned(),
                line: i32::try_from(failure.line).unwrap_or(i32::MAX),
                description: failure.description.clone(),
            }),
            Self::Completed | Self::Cancelled => None,
        }
    }
}

impl Counts {
    pub(crate) fn of(rows: &[RowOutcome]) -> Self {
        let mut counts = Self::default();
        for row in rows {
            counts.add(row);
        }
        counts
    }

    fn add(&mut self, row: &RowOutcome) {
        self.rows += 1;
        match row.outcome {
            Outcome::Created => self.created += 1,
            Outcome::Merged => self.merged += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Skipped | Outcome::Unspecified => self.skipped += 1,
        }
        if row.outcome != Outcome::Skipped && !row.warnings.is_empty() {
            self.warnings += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(outcome: Outcome, warnings: &[&str]) -> RowOutcome {
        RowOutcome {
            line: 1,
            outcome,
            reason: String::new(),
            warnings: warnings.iter().map(|warning| (*warning).to_owned()).collect(),
            url: String::new(),
            bookmark_id: None,
        }
    }

    #[test]
    fn rows_are_counted_by_outcome_and_warnings_only_of_saved_ones() {
        let rows = [
            row(Outcome::Created, &["a bad date"]),
            row(Outcome::Merged, &[]),
            row(Outcome::Unchanged, &["a", "b"]),
            row(Outcome::Skipped, &["a"]),
        ];

        let counts = Counts::of(&rows);

        assert_eq!(
            counts,
            Counts {
                rows: 4,
                created: 1,
                merged: 1,
                unchanged: 1,
                skipped: 1,
                warnings: 2
            }
        );
    }

    #[test]
    fn skipped_rows_and_warnings_are_said_in_the_last_state() {
        let clean = Counts {
            rows: 1,
            created: 1,
            ..Counts::default()
        };

        assert_eq!(Ending::Completed.state(clean), State::Completed);
        assert_eq!(
            Ending::Completed.state(Counts { skipped: 1, ..clean }),
            State::CompletedWithWarnings
        );
        assert_eq!(
            Ending::Completed.state(Counts { warnings: 1, ..clean }),
            State::CompletedWithWarnings
        );
        assert_eq!(Ending::Cancelled.state(clean), State::Cancelled);
    }
}
