//! Translates between HTTP/JSON and protobuf by plans compiled from descriptors, without structs between.

mod error;
mod plan;

pub use error::{FieldViolation, JsonError, WireError};
pub use plan::{MessageId, Plans, WriteOptions};

/// Messages and JSON values nested deeper than this are refused, in both directions.
pub const MAX_DEPTH: usize = 100;
