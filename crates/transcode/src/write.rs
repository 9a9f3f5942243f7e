//! Writes ProtoJSON straight from wire bytes.
//!
//! Encoders put fields in ascending order, each once, so a first pass writes while it reads. If it meets a field out
//! of that order it gives up, and a second pass gathers the fields of each message before writing them.

pub(crate) mod escape;
mod gathered;
mod map;
mod scalar;
mod well_known;

use crate::gather::gather;
use crate::plan::{Cardinality, FieldPlan, Kind, MessageId, MessagePlan, Plans, Shape};
use crate::wire::{Cursor, Payload};
use crate::{MAX_DEPTH, WireError};

/// How to write JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WriteOptions {
    /// Print numbers, strings, enums and booleans without presence also when zero, lists and maps also when empty.
    pub emit_defaults: bool,
}

impl Plans {
    /// Appends canonical ProtoJSON for `wire` to `out`, which is left as it was if the wire is broken.
    pub fn write_json(
        &self,
        message: MessageId,
        wire: &[u8],
        options: WriteOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        self.write(options, out, |writer| writer.message(message, &[wire], 0))
    }

    /// Appends the JSON of one field's value, for `response_body: "field"`. `wire` holds the whole message. An absent
    /// message is `null`; other absent fields print their default.
    pub fn write_json_field(
        &self,
        message: MessageId,
        field_number: u32,
        wire: &[u8],
        options: WriteOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let plan = self.message_plan(message);
        let index = plan.index_of(field_number).ok_or(WireError::UnknownField)?;
        let mut found = gather(plan, &[wire])?;
        found.retain(|occurrence| occurrence.index == index);
        self.write(options, out, |writer| writer.only_value(&plan.fields[index], &found))
    }

    fn write(
        &self,
        options: WriteOptions,
        out: &mut Vec<u8>,
        content: impl Fn(&mut Writer<'_, '_>) -> Result<(), Stop>,
    ) -> Result<(), WireError> {
        let start = out.len();
        let mut written = content(&mut Writer {
            plans: self,
            options,
            out,
            in_order: true,
        });
        if let Err(Stop::OutOfOrder) = written {
            out.truncate(start);
            written = content(&mut Writer {
                plans: self,
                options,
                out,
                in_order: false,
            });
        }
        written.map_err(|stop| {
            out.truncate(start);
            stop.into()
        })
    }
}

/// Why a pass ends early.
enum Stop {
    OutOfOrder,
    Wire(WireError),
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<Stop> for WireError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::OutOfOrder => unreachable!("the gathering pass takes fields in any order"),
            Stop::Wire(error) => error,
        }
    }
}

struct Writer<'p, 'o> {
    plans: &'p Plans,
    options: WriteOptions,
    out: &'o mut Vec<u8>,
    /// The first pass; see the top of this file.
    in_order: bool,
}

impl<'p> Writer<'p, '_> {
    /// A message whose wire bytes came in `parts`, to be merged.
    fn message(&mut self, id: MessageId, parts: &[&[u8]], depth: usize) -> Result<(), Stop> {
        if depth > MAX_DEPTH {
            return Err(WireError::TooDeep.into());
        }
        let plan = self.plans.message_plan(id);
        match plan.shape {
            Shape::Plain | Shape::Empty => {
                self.out.push(b'{');
                self.fields(plan, parts, depth)?;
                self.out.push(b'}');
                Ok(())
            }
            Shape::Any => self.any(parts, depth),
            Shape::Duration => self.duration(parts),
            Shape::FieldMask => self.field_mask(parts),
            Shape::ListValue => self.list_value(plan, parts, depth),
            Shape::Struct => self.structure(plan, parts, depth),
            Shape::Timestamp => self.timestamp(parts),
            Shape::Value => self.value(plan, parts, depth),
            Shape::Wrapper => self.wrapper(plan, parts),
        }
    }

    fn fields(&mut self, plan: &'p MessagePlan, parts: &[&[u8]], depth: usize) -> Result<(), Stop> {
        match parts {
            [wire] if self.in_order => self.ordered_fields(plan, wire, depth),
            _ => self.gathered_fields(plan, parts, depth),
        }
    }

    fn ordered_fields(&mut self, plan: &'p MessagePlan, wire: &[u8], depth: usize) -> Result<(), Stop> {
        let mut cursor = Cursor::new(wire);
        let mut next_index = 0;
        let mut oneofs_seen = 0;
        while let Some((number, payload)) = cursor.next_field()? {
            let Some(index) = plan.index_of(number) else { continue };
            if index < next_index {
                return Err(Stop::OutOfOrder);
            }
            self.defaults(&plan.fields[next_index..index]);
            next_index = index + 1;
            let field = &plan.fields[index];
            if let Some(oneof) = field.oneof {
                first_of_oneof(oneof, &mut oneofs_seen)?;
            }
            match field.cardinality {
                Cardinality::Implicit if self.skips(field.kind, payload) => {}
                Cardinality::Implicit | Cardinality::Explicit => {
                    self.key(field);
                    self.single(field.kind, payload, depth)?;
                }
                Cardinality::List { .. } => self.ordered_list(field, payload, &mut cursor, depth)?,
                Cardinality::Map => self.ordered_map(field, payload, &mut cursor, depth)?,
            }
        }
        self.defaults(&plan.fields[next_index..]);
        Ok(())
    }

    fn ordered_list(
        &mut self,
        field: &FieldPlan,
        first: Payload<'_>,
        cursor: &mut Cursor<'_>,
        depth: usize,
    ) -> Result<(), Stop> {
        let start = self.out.len();
        self.key(field);
        self.out.push(b'[');
        self.elements(field.kind, first, depth)?;
        while let Some(payload) = next_of(field.number, cursor)? {
            self.elements(field.kind, payload, depth)?;
        }
        self.close_list(start);
        Ok(())
    }

    /// Whether a value of a field without presence is left out because it is the default.
    fn skips(&self, kind: Kind, payload: Payload<'_>) -> bool {
        !self.options.emit_defaults && self.is_zero(kind, payload)
    }

    fn defaults(&mut self, fields: &[FieldPlan]) {
        if !self.options.emit_defaults {
            return;
        }
        for field in fields {
            if !field.json_default.is_empty() {
                self.separate(b'{');
                self.out.extend_from_slice(&field.json_default);
            }
        }
    }

    fn key(&mut self, field: &FieldPlan) {
        self.separate(b'{');
        self.out.extend_from_slice(&field.json_key);
    }

    /// A comma, unless the object or list has just been opened.
    #[inline]
    fn separate(&mut self, opening: u8) {
        if self.out.last() != Some(&opening) {
            self.out.push(b',');
        }
    }

    /// Ends a list that started, with its key, at `start`; an empty one is a default.
    fn close_list(&mut self, start: usize) {
        if self.out.ends_with(b"[") && !self.options.emit_defaults {
            self.out.truncate(start);
        } else {
            self.out.push(b']');
        }
    }
}

/// The next field if it has this number; otherwise the cursor stays.
fn next_of<'w>(number: u32, cursor: &mut Cursor<'w>) -> Result<Option<Payload<'w>>, WireError> {
    let mut ahead = *cursor;
    match ahead.next_field()? {
        Some((found, payload)) if found == number => {
            *cursor = ahead;
            Ok(Some(payload))
        }
        _ => Ok(None),
    }
}

/// Two members of one oneof need the gathering pass, and so does a message with more than 64 oneofs.
fn first_of_oneof(oneof: usize, seen: &mut u64) -> Result<(), Stop> {
    let bit = 1_u64.checked_shl(oneof as u32).ok_or(Stop::OutOfOrder)?;
    if *seen & bit != 0 {
        return Err(Stop::OutOfOrder);
    }
    *seen |= bit;
    Ok(())
}
