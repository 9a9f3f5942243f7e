//! JSON of single values: numbers, strings, bytes, enums, and elements of lists.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Stop, Writer, escape};
use crate::WireError;
use crate::plan::{EnumId, Kind};
use crate::wire::{Cursor, Payload};

impl Writer<'_, '_> {
    /// One value that is on the wire.
    #[inline]
    pub(super) fn single(&mut self, kind: Kind, payload: Payload<'_>, depth: usize) -> Result<(), Stop> {
        match (kind, payload) {
            (Kind::String, Payload::Bytes(bytes)) => self.text(bytes)?,
            (Kind::Message(id), Payload::Bytes(bytes)) | (Kind::Group(id), Payload::Group(bytes)) => {
                self.message(id, &[bytes], depth + 1)?;
            }
            (Kind::Enum(id), Payload::Varint(value)) => self.enumeration(id, value as i32),
            (Kind::Bool, Payload::Varint(value)) => self.boolean(value != 0),
            (Kind::Int32, Payload::Varint(value)) => self.integer(value as i32),
            (Kind::Uint32, Payload::Varint(value)) => self.integer(value as u32),
            (Kind::Sint32, Payload::Varint(value)) => self.integer(unzigzag32(value as u32)),
            (Kind::Fixed32, Payload::Fixed32(value)) => self.integer(value),
            (Kind::Sfixed32, Payload::Fixed32(value)) => self.integer(value as i32),
            (Kind::Int64, Payload::Varint(value)) => self.quoted(value as i64),
            (Kind::Uint64, Payload::Varint(value)) => self.quoted(value),
            (Kind::Sint64, Payload::Varint(value)) => self.quoted(unzigzag64(value)),
            (Kind::Fixed64, Payload::Fixed64(value)) => self.quoted(value),
            (Kind::Sfixed64, Payload::Fixed64(value)) => self.quoted(value as i64),
            (Kind::Double, Payload::Fixed64(bits)) => self.double(f64::from_bits(bits)),
            (Kind::Float, Payload::Fixed32(bits)) => self.float(f32::from_bits(bits)),
            (Kind::Bytes, Payload::Bytes(bytes)) => self.base64(bytes),
            (Kind::Null, Payload::Varint(_)) => self.out.extend_from_slice(b"null"),
            _ => return Err(WireError::WrongWireType.into()),
        }
        Ok(())
    }

    /// The elements that one occurrence of a list field holds: one, or a packed run.
    pub(super) fn elements(&mut self, kind: Kind, payload: Payload<'_>, depth: usize) -> Result<(), Stop> {
        let Some((run, width)) = packed(kind, payload) else {
            self.separate(b'[');
            return self.single(kind, payload, depth);
        };
        let mut cursor = Cursor::new(run);
        while !cursor.is_empty() {
            let element = match width {
                Width::Varint => Payload::Varint(cursor.varint()?),
                Width::Four => Payload::Fixed32(cursor.fixed32()?),
                Width::Eight => Payload::Fixed64(cursor.fixed64()?),
            };
            self.separate(b'[');
            self.single(kind, element, depth)?;
        }
        Ok(())
    }

    /// What an absent value of this kind is: a map value that its entry leaves out.
    pub(super) fn zero(&mut self, kind: Kind, depth: usize) -> Result<(), Stop> {
        let payload = match kind {
            Kind::Message(id) | Kind::Group(id) => return self.message(id, &[], depth + 1),
            Kind::Enum(id) => Payload::Varint(self.plans.enum_plan(id).default as u64),
            Kind::String | Kind::Bytes => Payload::Bytes(&[]),
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Payload::Fixed64(0),
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Payload::Fixed32(0),
            Kind::Int32
            | Kind::Int64
            | Kind::Uint32
            | Kind::Uint64
            | Kind::Sint32
            | Kind::Sint64
            | Kind::Bool
            | Kind::Null => Payload::Varint(0),
        };
        self.single(kind, payload, depth)
    }

    /// Whether a value is its kind's default. Negative zero is, as for prost-reflect.
    pub(super) fn is_zero(&self, kind: Kind, payload: Payload<'_>) -> bool {
        match (kind, payload) {
            (Kind::Double, Payload::Fixed64(bits)) => f64::from_bits(bits) == 0.0,
            (Kind::Float, Payload::Fixed32(bits)) => f32::from_bits(bits) == 0.0,
            (Kind::Enum(id), Payload::Varint(value)) => value as i32 == self.plans.enum_plan(id).default,
            (Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Null, Payload::Varint(value)) => value as u32 == 0,
            (_, Payload::Varint(value) | Payload::Fixed64(value)) => value == 0,
            (_, Payload::Fixed32(value)) => value == 0,
            (_, Payload::Bytes(bytes) | Payload::Group(bytes)) => bytes.is_empty(),
        }
    }

    pub(super) fn text(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let text = std::str::from_utf8(bytes).map_err(|_| WireError::BadUtf8)?;
        escape::push_text(self.out, text);
        Ok(())
    }

    pub(super) fn integer(&mut self, value: impl itoa::Integer) {
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A 64-bit integer, as a string because JavaScript would round it.
    pub(super) fn quoted(&mut self, value: impl itoa::Integer) {
        self.out.push(b'"');
        self.integer(value);
        self.out.push(b'"');
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub(super) fn base64(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        self.out.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes());
        self.out.push(b'"');
    }

    fn enumeration(&mut self, id: EnumId, number: i32) {
        match self.plans.enum_plan(id).quoted_name(number) {
            Some(name) => self.out.extend_from_slice(name.as_bytes()),
            None => self.integer(number),
        }
    }

    fn double(&mut self, value: f64) {
        if value.is_finite() {
            self.out
                .extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        } else {
            self.not_finite(value);
        }
    }

    fn float(&mut self, value: f32) {
        if value.is_finite() {
            self.out
                .extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        } else {
            self.not_finite(f64::from(value));
        }
    }

    fn not_finite(&mut self, value: f64) {
        let name: &[u8] = match value {
            f64::INFINITY => b"\"Infinity\"",
            f64::NEG_INFINITY => b"\"-Infinity\"",
            _ => b"\"NaN\"",
        };
        self.out.extend_from_slice(name);
    }
}

/// The content of a message field.
pub(super) fn message_bytes(kind: Kind, payload: Payload<'_>) -> Result<&[u8], WireError> {
    match (kind, payload) {
        (Kind::Message(_), Payload::Bytes(bytes)) | (Kind::Group(_), Payload::Group(bytes)) => Ok(bytes),
        _ => Err(WireError::WrongWireType),
    }
}

enum Width {
    Varint,
    Four,
    Eight,
}

/// The bytes of a packed run, if this is one. Readers take both forms, whatever the declaration says.
fn packed(kind: Kind, payload: Payload<'_>) -> Option<(&[u8], Width)> {
    let Payload::Bytes(run) = payload else { return None };
    let width = match kind {
        Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_) => return None,
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Width::Eight,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Width::Four,
        Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Bool
        | Kind::Enum(_)
        | Kind::Null => Width::Varint,
    };
    Some((run, width))
}

pub(super) fn unzigzag32(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

pub(super) fn unzigzag64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
