//! Why reading stopped: text that is no JSON, or a value that breaks a rule of its field.

use std::borrow::Cow;

use crate::{FieldViolation, JsonError};

#[derive(Debug)]
pub(super) enum Failure {
    /// Not JSON, or JSON nested too deep, at this byte.
    Syntax {
        offset: usize,
        description: Cow<'static, str>,
    },
    /// Boxed to keep results small.
    Rule(Box<FieldViolation>),
}

impl Failure {
    pub(super) fn syntax(offset: usize, description: impl Into<Cow<'static, str>>) -> Self {
        Self::Syntax {
            offset,
            description: description.into(),
        }
    }

    pub(super) fn rule(description: impl Into<String>) -> Self {
        Self::Rule(Box::new(FieldViolation {
            field: String::new(),
            description: description.into(),
        }))
    }

    /// The path is put together while the reader returns, so that reading itself does not keep one.
    pub(super) fn in_field(self, name: &str) -> Self {
        self.in_front(name, ".")
    }

    pub(super) fn at_index(self, index: usize) -> Self {
        self.in_front(&format!("[{index}]"), ".")
    }

    pub(super) fn at_key(self, key: &str) -> Self {
        self.in_front(&format!("[{:?}]", shortened(key)), ".")
    }

    pub(super) fn into_error(self, json: &[u8]) -> JsonError {
        match self {
            Self::Rule(violation) => (*violation).into(),
            Self::Syntax { offset, description } => {
                let (line, column) = line_and_column(json, offset);
                let description = format!("line {line} column {column}: {description}");
                FieldViolation {
                    field: String::new(),
                    description,
                }
                .into()
            }
        }
    }

    fn in_front(self, segment: &str, joint: &str) -> Self {
        match self {
            Self::Syntax { .. } => self,
            Self::Rule(mut violation) => {
                let joint = if violation.field.is_empty() || violation.field.starts_with('[') {
                    ""
                } else {
                    joint
                };
                violation.field = format!("{segment}{joint}{}", violation.field);
                Self::Rule(violation)
            }
        }
    }
}

/// A name from outside, cut to a length fit for an error.
pub(super) fn shortened(name: &str) -> Cow<'_, str> {
    const LIMIT: usize = 64;
    match name.char_indices().nth(LIMIT) {
        Some((end, _)) => Cow::Owned(format!("{}...", &name[..end])),
        None => Cow::Borrowed(name),
    }
}

/// Both count from one, columns in bytes.
fn line_and_column(json: &[u8], offset: usize) -> (usize, usize) {
    let before = &json[..offset.min(json.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let line_start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |position| position + 1);
    (line, before.len() - line_start + 1)
}
