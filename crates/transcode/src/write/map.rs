//! JSON of maps: entries sorted by key, so that the same map always gives the same bytes.

use super::{Stop, Writer, escape, next_of};
use crate::WireError;
use crate::gather::{Occurrence, gather};
use crate::plan::{FieldPlan, Kind, MessagePlan};
use crate::wire::{Cursor, Payload};

/// A map key as JSON will show it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'w> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
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
            Key::Signed(key) => self.quoted(key),
            Key::Unsigned(key) => self.quoted(key),
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
    let kind = plan.fields[0].kind;
    let mut values = gather(plan, &[bytes])?;
    let mut key = zero_key(kind);
    for occurrence in &values {
        if occurrence.index == 0 {
            key = present_key(kind, occurrence.payload)?;
        }
    }
    values.retain(|occurrence| occurrence.index == 1);
    Ok(Entry { key, values })
}

fn zero_key<'w>(kind: Kind) -> Key<'w> {
    match kind {
        Kind::Bool => Key::Bool(false),
        Kind::String => Key::Text(""),
        Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => Key::Unsigned(0),
        _ => Key::Signed(0),
    }
}

fn present_key(kind: Kind, payload: Payload<'_>) -> Result<Key<'_>, WireError> {
    let key = match (kind, payload) {
        (Kind::String, Payload::Bytes(bytes)) => Key::Text(std::str::from_utf8(bytes).map_err(|_| WireError::BadUtf8)?),
        (Kind::Bool, Payload::Varint(value)) => Key::Bool(value != 0),
        (Kind::Int32, Payload::Varint(value)) => Key::Signed(i64::from(value as i32)),
        (Kind::Int64, Payload::Varint(value)) => Key::Signed(value as i64),
        (Kind::Uint32, Payload::Varint(value)) => Key::Unsigned(u64::from(value as u32)),
        (Kind::Uint64, Payload::Varint(value)) => Key::Unsigned(value),
        (Kind::Sint32, Payload::Varint(value)) => Key::Signed(i64::from(super::scalar::unzigzag32(value as u32))),
        (Kind::Sint64, Payload::Varint(value)) => Key::Signed(super::scalar::unzigzag64(value)),
        (Kind::Fixed32, Payload::Fixed32(value)) => Key::Unsigned(u64::from(value)),
        (Kind::Fixed64, Payload::Fixed64(value)) => Key::Unsigned(value),
        (Kind::Sfixed32, Payload::Fixed32(value)) => Key::Signed(i64::from(value as i32)),
        (Kind::Sfixed64, Payload::Fixed64(value)) => Key::Signed(value as i64),
        _ => return Err(WireError::WrongWireType),
    };
    Ok(key)
}
