//! An import as its table has it.

use sqlx::Error;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{Counts, Import, State, StoredFailure};

pub(super) struct ImportRecord {
    pub(super) id: Uuid,
    pub(super) owner_id: Uuid,
    pub(super) task_id: Uuid,
    pub(super) state: String,
    pub(super) file_name: String,
    pub(super) size_bytes: i64,
    pub(super) total_rows: i32,
    pub(super) rows: i32,
    pub(super) created: i32,
    pub(super) merged: i32,
    pub(super) unchanged: i32,
    pub(super) skipped: i32,
    pub(super) warnings: i32,
    pub(super) failure_reason: Option<String>,
    pub(super) failure_line: Option<i32>,
    pub(super) failure_description: Option<String>,
    pub(super) version: i64,
    pub(super) created_at: OffsetDateTime,
    pub(super) updated_at: OffsetDateTime,
}

impl ImportRecord {
    pub(super) fn into_import(self) -> sqlx::Result<Import> {
        let state = State::from_str_name(&self.state).ok_or_else(|| unknown("state", &self.state))?;
        let failure = self.failure_reason.map(|reason| StoredFailure {
            reason,
            line: self.failure_line.unwrap_or_default(),
            description: self.failure_description.unwrap_or_default(),
        });
        Ok(Import {
            id: self.id,
            owner_id: self.owner_id,
            task_id: self.task_id,
            state,
            file_name: self.file_name,
            size_bytes: self.size_bytes,
            total_rows: self.total_rows,
            counts: Counts {
                rows: self.rows,
                created: self.created,
                merged: self.merged,
                unchanged: self.unchanged,
                skipped: self.skipped,
                warnings: self.warnings,
            },
            failure,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// A newer version of us wrote it: a decoding error, as for any value that does not fit its type.
pub(super) fn unknown(column: &str, value: &str) -> Error {
    Error::Decode(format!("the column {column} holds the unknown value {value}").into())
}
