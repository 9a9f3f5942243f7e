//! Plans of every message of a descriptor pool: what the wire and the JSON of each field look like.

mod compile;
mod kind;

use std::collections::HashMap;

pub(crate) use self::kind::{Kind, Scalar};

/// Plans of every message of a descriptor pool. Cheap to look up in and to share.
#[derive(Debug)]
pub struct Plans {
    messages: Vec<MessagePlan>,
    enums: Vec<EnumPlan>,
    by_name: HashMap<String, MessageId>,
}

/// Names one message of the [`Plans`] that gave it out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MessageId(usize);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EnumId(usize);

#[derive(Debug)]
pub(crate) struct MessagePlan {
    pub(crate) shape: Shape,
    /// By ascending number, the order of ProtoJSON output.
    pub(crate) fields: Vec<FieldPlan>,
    /// Names of the oneofs; `optional` fields, which are oneofs of one in descriptors, are not among them.
    pub(crate) oneofs: Vec<String>,
    /// JSON and proto names to indexes into `fields`, sorted.
    names: Vec<(String, usize)>,
}

/// Whether a message has its fields as JSON members or a form of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    Plain,
    Any,
    Duration,
    Empty,
    FieldMask,
    ListValue,
    Struct,
    Timestamp,
    Value,
    Wrapper,
}

#[derive(Debug)]
pub(crate) struct FieldPlan {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) cardinality: Cardinality,
    pub(crate) oneof: Option<usize>,
    pub(crate) json_name: String,
    /// `"jsonName":`
    pub(crate) json_key: Vec<u8>,
    /// `"jsonName":0`; empty for fields that have presence.
    pub(crate) json_default: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cardinality {
    /// Zero and absent are the same.
    Implicit,
    /// Zero and absent differ: `optional`, members of oneofs, messages.
    Explicit,
    List {
        packed: bool,
    },
    /// The field's kind is the entry message, with the key as its first and the value as its second field.
    Map,
}

#[derive(Debug)]
pub(crate) struct EnumPlan {
    /// Numbers with their names in quotes, by ascending number.
    quoted_names: Vec<(i32, String)>,
    /// Names, also aliases, sorted.
    numbers: Vec<(String, i32)>,
    /// The number that an implicit field has when it is absent.
    pub(crate) default: i32,
}

impl Plans {
    /// Plans for all messages of the pool, also those that no RPC names: a `google.protobuf.Any` can hold them.
    pub fn compile(pool: &prost_reflect::DescriptorPool) -> Self {
        compile::compile(pool)
    }

    /// The message of this name, such as `google.protobuf.Empty`.
    pub fn message(&self, full_name: &str) -> Option<MessageId> {
        self.by_name.get(full_name).copied()
    }

    /// The message that `google.protobuf.Any` names by `host/full.name`.
    pub(crate) fn message_of_type_url(&self, type_url: &str) -> Option<MessageId> {
        let (_, full_name) = type_url.rsplit_once('/')?;
        self.message(full_name)
    }

    pub(crate) fn message_plan(&self, id: MessageId) -> &MessagePlan {
        &self.messages[id.0]
    }

    pub(crate) fn enum_plan(&self, id: EnumId) -> &EnumPlan {
        &self.enums[id.0]
    }
}

impl MessagePlan {
    /// The place of a field number. Most messages number their fields from one without gaps.
    #[inline]
    pub(crate) fn index_of(&self, number: u32) -> Option<usize> {
        let guess = (number as usize).wrapping_sub(1);
        match self.fields.get(guess) {
            Some(field) if field.number == number => Some(guess),
            _ => self.fields.binary_search_by_key(&number, |field| field.number).ok(),
        }
    }

    /// The same as [`Self::index_of_name`], sooner if `guess` is right.
    #[inline]
    pub(crate) fn index_of_name_near(&self, name: &str, guess: usize) -> Option<usize> {
        match self.fields.get(guess) {
            Some(field) if field.json_name == name => Some(guess),
            _ => self.index_of_name(name),
        }
    }

    /// The place of a field by its JSON name or its proto name.
    pub(crate) fn index_of_name(&self, name: &str) -> Option<usize> {
        let found = self
            .names
            .binary_search_by(|(candidate, _)| candidate.as_str().cmp(name))
            .ok()?;
        Some(self.names[found].1)
    }
}

impl EnumPlan {
    #[inline]
    pub(crate) fn quoted_name(&self, number: i32) -> Option<&str> {
        let guess = self
            .quoted_names
            .get(number as usize)
            .filter(|(candidate, _)| *candidate == number);
        let (_, name) = match guess {
            Some(found) => found,
            None => {
                let found = self
                    .quoted_names
                    .binary_search_by_key(&number, |(candidate, _)| *candidate)
                    .ok()?;
                &self.quoted_names[found]
            }
        };
        Some(name)
    }

    pub(crate) fn number(&self, name: &str) -> Option<i32> {
        let found = self
            .numbers
            .binary_search_by(|(candidate, _)| candidate.as_str().cmp(name))
            .ok()?;
        Some(self.numbers[found].1)
    }

    /// The names by number, for messages to people.
    pub(crate) fn listed_names(&self) -> String {
        let names: Vec<&str> = self.quoted_names.iter().map(|(_, name)| name.as_str()).collect();
        names.join(", ")
    }
}
