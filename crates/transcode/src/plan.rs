//! Plans of every message of a descriptor pool.

use std::collections::HashMap;

use crate::{FieldViolation, JsonError, WireError};

/// Plans of every message of a descriptor pool.
pub struct Plans {
    by_name: HashMap<String, MessageId>,
}

/// Names one message of one [`Plans`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MessageId(u32);

/// How to write JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WriteOptions {
    /// Print scalars without presence, lists and maps also when they are empty.
    pub emit_defaults: bool,
}

impl Plans {
    pub fn compile(pool: &prost_reflect::DescriptorPool) -> Self {
        let by_name = pool
            .all_messages()
            .enumerate()
            .map(|(index, message)| (message.full_name().to_owned(), MessageId(index as u32)))
            .collect();
        Self { by_name }
    }

    pub fn message(&self, full_name: &str) -> Option<MessageId> {
        self.by_name.get(full_name).copied()
    }

    /// Appends canonical ProtoJSON for `wire` to `out`.
    pub fn write_json(&self, _message: MessageId, _wire: &[u8], _options: WriteOptions, _out: &mut Vec<u8>) -> Result<(), WireError> {
        Err(WireError::Truncated)
    }

    /// Appends the JSON of one field's value, for `response_body: "field"`.
    pub fn write_json_field(
        &self,
        _message: MessageId,
        _field_number: u32,
        _wire: &[u8],
        _options: WriteOptions,
        _out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        Err(WireError::Truncated)
    }

    /// Reads a JSON body into wire bytes, appended to `out`.
    pub fn read_json(&self, _message: MessageId, _json: &[u8], _out: &mut Vec<u8>) -> Result<(), JsonError> {
        Err(not_yet().into())
    }

    /// Reads a JSON body that is the value of one field of the message.
    pub fn read_json_field(&self, _message: MessageId, _field_number: u32, _json: &[u8], _out: &mut Vec<u8>) -> Result<(), JsonError> {
        Err(not_yet().into())
    }

    /// Reads a path or query parameter into wire bytes, appended to `out`.
    pub fn read_text(&self, _message: MessageId, _field_path: &str, _values: &[&str], _out: &mut Vec<u8>) -> Result<(), FieldViolation> {
        Err(not_yet())
    }
}

fn not_yet() -> FieldViolation {
    FieldViolation { field: String::new(), description: "not read yet".to_owned() }
}
