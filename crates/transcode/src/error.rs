//! What can be wrong with wire bytes or with JSON, and where.

use std::fmt;

/// Protobuf bytes that do not hold a message of the expected type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    #[error("wire bytes end in the middle of a field")]
    Truncated,
    #[error("varint is longer than ten bytes or overflows 64 bits")]
    BadVarint,
    #[error("tag has field number zero or an unknown wire type")]
    BadTag,
    #[error("field has another wire type than its declaration")]
    WrongWireType,
    #[error("string field is not valid UTF-8")]
    BadUtf8,
    #[error("messages are nested deeper than {} levels", crate::MAX_DEPTH)]
    TooDeep,
    #[error("group does not end where it should")]
    BadGroup,
    #[error("timestamp or duration is outside its documented range, or the signs of a duration differ")]
    TimeOutOfRange,
    #[error("field mask path cannot be written in camel case")]
    BadFieldMask,
    #[error("google.protobuf.Value holds a number that is not finite")]
    BadValue,
    #[error("message has no field of this number")]
    UnknownField,
}

/// One broken rule about one field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldViolation {
    /// The camelCase path from the body's root, as in `bookmark.tags[3]`; empty for the body itself.
    pub field: String,
    pub description: String,
}

impl fmt::Display for FieldViolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            formatter.write_str(&self.description)
        } else {
            write!(formatter, "{}: {}", self.field, self.description)
        }
    }
}

/// JSON that cannot be read as the expected message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct JsonError {
    /// At least one.
    pub violations: Vec<FieldViolation>,
}

impl From<FieldViolation> for JsonError {
    fn from(violation: FieldViolation) -> Self {
        Self {
            violations: vec![violation],
        }
    }
}
