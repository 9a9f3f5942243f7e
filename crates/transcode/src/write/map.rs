//! JSON of maps: entries sorted by key, so that the same map always gives the same bytes.

use super::{Stop, Writer, escape, next_of};
use crate::WireError;
use crate::gather::{Occurrence, gather};
use crate::integer::Number;
use crate::plan::{FieldPlan, Kind, MessagePlan, Scalar};
use crate::wire::{Cursor, Payload};

/// A map key; those of one map are all of one kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'w> {
    Bool(bool),
    Number(Number),
    Text(&'w str),
}

struct Entry<'w> {
    key: Key<'w>,
    values: Vec<Occurrence<'w>>,
}

impl Writer<'_, '_> {
    pub(super) fn ordered_map(
        &mut self,
        field: &FieldPlan,
        first: Payload<'_>,
        cursor: &mut Cursor<'_>,
        depth: usize,
    ) -> Result<(), Stop> {
        let mut payloads = vec![first];
        while let Some(payload) = next_of(field.number, cursor)? {
            payloads.push(payload);
        }
        self.key(field);
        self.entries(field.kind, payloads.into_iter(), depth)
    }

    pub(super) fn map(&mut self, kind: Kind, found: &[Occurrence<'_>], depth: usize) -> Result<(), Stop> {
        self.entries(kind, found.iter().map(|occurrence| occurrence.payload), depth)
    }

    /// `kind` is the entry message; of entries with the same key the last one counts.
    fn entries<'w>(
        &mut self,
        kind: Kind,
        payloads: impl Iterator<Item = Payload<'w>>,
        depth: usize,
    ) -> Result<(), Stop> {
        let id = kind.message().ok_or(WireError::WrongWireType)?;
        let plan = self.plans.message_plan(id);
        let mut entries = payloads
            .map(|payload| entry(plan, payload))
            .collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(|entry| entry.key);
        self.out.push(b'{');
        for (position, entry) in entries.iter().enumerate() {
            let start = self.out.len();
            self.entry(plan, entry, depth)?;
            let replaced = entries.get(position + 1).is_some_and(|next| next.key == entry.key);
            if replaced {
                self.out.truncate(start);
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn entry(&mut self, plan: &MessagePlan, entry: &Entry<'_>, depth: usize) -> Result<(), Stop> {
        self.separate(b'{');
        match entry.key {
            Key::Bool(true) => self.out.extend_from_slice(b"\"true\""),
            Key::Bool(false) => self.out.extend_from_slice(b"\"false\""),
            Key::Number(Number::Narrow(key) | Number::Wide(key)) => self.quoted_digits(key),
            Key::Number(Number::WideUnsigned(key)) => self.quoted_digits(key),
            Key::Text(key) => escape::push_text(self.out, key),
        }
        self.out.push(b':');
        let kind = plan.fields[1].kind;
        if entry.values.is_empty() {
            self.zero(kind, depth)
        } else {
            self.merged(kind, &entry.values, depth)
        }
    }
}

fn entry<'w>(plan: &MessagePlan, payload: Payload<'w>) -> Result<Entry<'w>, WireError> {
    let Payload::Bytes(bytes) = payload else {
        return Err(WireError::WrongWireType);
    };
    let scalar = plan.fields[0].kind.scalar().ok_or(WireError::WrongWireType)?;
    let mut values = gather(plan, &[bytes])?;
    let mut key = read_key(scalar, Payload::zero(scalar.wire_type()))?;
    for occurrence in &values {
        if occurrence.index == 0 {
            key = read_key(scalar, occurrence.payload)?;
        }
    }
    values.retain(|occurrence| occurrence.index == 1);
    Ok(Entry { key, values })
}

fn read_key(scalar: Scalar, payload: Payload<'_>) -> Result<Key<'_>, WireError> {
    match (scalar, payload) {
        (Scalar::String, Payload::Bytes(bytes)) => {
            let text = std::str::from_utf8(bytes).map_err(|_| WireError::BadUtf8)?;
            Ok(Key::Text(text))
        }
        (Scalar::Bool, Payload::Varint(value)) => Ok(Key::Bool(value != 0)),
        (Scalar::Integer(integer), payload) => integer.decode(payload).map(Key::Number),
        (_, _) => Err(WireError::WrongWireType),
    }
}
