//! JSON of single values: numbers, strings, bytes, enums, and elements of lists.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Stop, Writer, escape};
use crate::WireError;
use crate::integer::Number;
use crate::plan::{EnumId, Kind, Scalar};
use crate::wire::{Cursor, Payload, WireType};

impl Writer<'_, '_> {
    /// One value that is on the wire.
    #[inline]
    pub(super) fn single(&mut self, kind: Kind, payload: Payload<'_>, depth: usize) -> Result<(), Stop> {
        match kind {
            Kind::Scalar(scalar) => Ok(self.scalar(scalar, payload)?),
            Kind::Message(id) | Kind::Group(id) => self.message(id, &[message_bytes(kind, payload)?], depth + 1),
        }
    }

    #[inline]
    fn scalar(&mut self, scalar: Scalar, payload: Payload<'_>) -> Result<(), WireError> {
        match (scalar, payload) {
            (Scalar::String, Payload::Bytes(bytes)) => self.text(bytes)?,
            (Scalar::Integer(integer), payload) => self.number(integer.decode(payload)?),
            (Scalar::Enum(id), Payload::Varint(value)) => self.enumeration(id, value as i32),
            (Scalar::Bool, Payload::Varint(value)) => self.boolean(value != 0),
            (Scalar::Double, Payload::Fixed64(bits)) => self.double(f64::from_bits(bits)),
            (Scalar::Float, Payload::Fixed32(bits)) => self.float(f32::from_bits(bits)),
            (Scalar::Bytes, Payload::Bytes(bytes)) => self.base64(bytes),
            (Scalar::Null, Payload::Varint(_)) => self.out.extend_from_slice(b"null"),
            (_, _) => return Err(WireError::WrongWireType),
        }
        Ok(())
    }

    /// The elements that one occurrence of a list field holds: one, or a packed run.
    pub(super) fn elements(&mut self, kind: Kind, payload: Payload<'_>, depth: usize) -> Result<(), Stop> {
        let Some((run, wire_type)) = packed(kind, payload) else {
            self.separate(b'[');
            return self.single(kind, payload, depth);
        };
        let mut cursor = Cursor::new(run);
        while !cursor.is_empty() {
            let element = cursor.next_element(wire_type)?;
            self.separate(b'[');
            self.single(kind, element, depth)?;
        }
        Ok(())
    }

    /// What an absent value of this kind is: a map value that its entry leaves out.
    pub(super) fn zero(&mut self, kind: Kind, depth: usize) -> Result<(), Stop> {
        match kind {
            Kind::Message(id) | Kind::Group(id) => self.message(id, &[], depth + 1),
            Kind::Scalar(Scalar::Enum(id)) => {
                self.enumeration(id, self.plans.enum_plan(id).default);
                Ok(())
            }
            Kind::Scalar(scalar) => Ok(self.scalar(scalar, Payload::zero(scalar.wire_type()))?),
        }
    }

    /// Whether a value is its kind's default. Negative zero is, as for prost-reflect.
    pub(super) fn is_zero(&self, kind: Kind, payload: Payload<'_>) -> bool {
        let Kind::Scalar(scalar) = kind else { return false };
        match (scalar, payload) {
            (Scalar::Integer(integer), payload) => integer.decode(payload).is_ok_and(Number::is_zero),
            (Scalar::Double, Payload::Fixed64(bits)) => f64::from_bits(bits) == 0.0,
            (Scalar::Float, Payload::Fixed32(bits)) => f32::from_bits(bits) == 0.0,
            (Scalar::Enum(id), Payload::Varint(value)) => value as i32 == self.plans.enum_plan(id).default,
            (Scalar::Null, Payload::Varint(value)) => value as i32 == 0,
            (Scalar::Bool, Payload::Varint(value)) => value == 0,
            (Scalar::String | Scalar::Bytes, Payload::Bytes(bytes)) => bytes.is_empty(),
            (_, _) => false,
        }
    }

    pub(super) fn text(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let text = std::str::from_utf8(bytes).map_err(|_| WireError::BadUtf8)?;
        escape::push_text(self.out, text);
        Ok(())
    }

    pub(super) fn number(&mut self, number: Number) {
        match number {
            Number::Narrow(value) => self.digits(value),
            Number::Wide(value) => self.quoted_digits(value),
            Number::WideUnsigned(value) => self.quoted_digits(value),
        }
    }

    fn digits(&mut self, value: impl itoa::Integer) {
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    pub(super) fn quoted_digits(&mut self, value: impl itoa::Integer) {
        self.out.push(b'"');
        self.digits(value);
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
            None => self.digits(number),
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

/// The bytes of a packed run, if this is one, and what its elements are. Readers take both forms, whatever the
/// declaration says.
fn packed(kind: Kind, payload: Payload<'_>) -> Option<(&[u8], WireType)> {
    let (Some(scalar), Payload::Bytes(run)) = (kind.scalar(), payload) else {
        return None;
    };
    let wire_type = scalar.wire_type();
    (wire_type != WireType::Bytes).then_some((run, wire_type))
}
