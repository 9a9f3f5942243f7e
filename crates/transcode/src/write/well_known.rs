//! JSON of the well-known types that have a form of their own.

use super::{Stop, Writer, escape};
use crate::WireError;
use crate::gather::gather;
use crate::plan::{Kind, MessagePlan, Scalar, Shape};
use crate::time;
use crate::wire::{Cursor, Payload};

impl<'p> Writer<'p, '_> {
    pub(super) fn timestamp(&mut self, parts: &[&[u8]]) -> Result<(), Stop> {
        let (seconds, nanos) = seconds_and_nanos(parts)?;
        self.out.push(b'"');
        time::push_timestamp(self.out, seconds, nanos).ok_or(WireError::TimeOutOfRange)?;
        self.out.push(b'"');
        Ok(())
    }

    pub(super) fn duration(&mut self, parts: &[&[u8]]) -> Result<(), Stop> {
        let (seconds, nanos) = seconds_and_nanos(parts)?;
        self.out.push(b'"');
        time::push_duration(self.out, seconds, nanos).ok_or(WireError::TimeOutOfRange)?;
        self.out.push(b'"');
        Ok(())
    }

    pub(super) fn wrapper(&mut self, plan: &MessagePlan, parts: &[&[u8]]) -> Result<(), Stop> {
        let kind = plan.fields[0].kind;
        let found = gather(plan, parts)?;
        if found.is_empty() {
            self.zero(kind, 0)
        } else {
            self.merged(kind, &found, 0)
        }
    }

    pub(super) fn structure(&mut self, plan: &MessagePlan, parts: &[&[u8]], depth: usize) -> Result<(), Stop> {
        let entries = gather(plan, parts)?;
        self.map(plan.fields[0].kind, &entries, depth)
    }

    pub(super) fn list_value(&mut self, plan: &MessagePlan, parts: &[&[u8]], depth: usize) -> Result<(), Stop> {
        let values = gather(plan, parts)?;
        self.list(plan.fields[0].kind, &values, depth)
    }

    /// A value without a kind is broken by its documentation, yet prost-reflect and others read it as null.
    pub(super) fn value(&mut self, plan: &MessagePlan, parts: &[&[u8]], depth: usize) -> Result<(), Stop> {
        let found = gather(plan, parts)?;
        let Some(last) = found.last() else {
            self.out.extend_from_slice(b"null");
            return Ok(());
        };
        let kind = plan.fields[last.index].kind;
        match (kind, last.payload) {
            (Kind::Scalar(Scalar::Double), Payload::Fixed64(bits)) if !f64::from_bits(bits).is_finite() => {
                Err(WireError::BadValue.into())
            }
            _ => self.merged(kind, &found, depth),
        }
    }

    pub(super) fn field_mask(&mut self, parts: &[&[u8]]) -> Result<(), Stop> {
        let mut mask = String::new();
        for part in parts {
            let mut cursor = Cursor::new(part);
            while let Some((number, payload)) = cursor.next_field()? {
                match (number, payload) {
                    (1, Payload::Bytes(path)) => push_camel_case_path(&mut mask, path)?,
                    (1, _) => return Err(WireError::WrongWireType.into()),
                    _ => {}
                }
            }
        }
        escape::push_text(self.out, &mask);
        Ok(())
    }

    /// `@type` and the fields of a known message, or `@type` and `value`: the form of a well-known type, or the bytes
    /// of an unknown one.
    pub(super) fn any(&mut self, parts: &[&[u8]], depth: usize) -> Result<(), Stop> {
        let (type_url, content) = type_url_and_content(parts)?;
        self.out.push(b'{');
        if !(type_url.is_empty() && content.is_empty()) {
            self.out.extend_from_slice(b"\"@type\":");
            escape::push_text(self.out, type_url);
            self.any_content(type_url, content, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn any_content(&mut self, type_url: &str, content: &[u8], depth: usize) -> Result<(), Stop> {
        let Some(id) = self.plans.message_of_type_url(type_url) else {
            self.out.extend_from_slice(b",\"value\":");
            self.base64(content);
            return Ok(());
        };
        let plan: &'p MessagePlan = self.plans.message_plan(id);
        if plan.shape == Shape::Plain {
            return self.fields(plan, &[content], depth + 1);
        }
        self.out.extend_from_slice(b",\"value\":");
        self.message(id, &[content], depth + 1)
    }
}

fn seconds_and_nanos(parts: &[&[u8]]) -> Result<(i64, i32), WireError> {
    let (mut seconds, mut nanos) = (0, 0);
    for part in parts {
        let mut cursor = Cursor::new(part);
        while let Some((number, payload)) = cursor.next_field()? {
            match (number, payload) {
                (1, Payload::Varint(value)) => seconds = value as i64,
                (2, Payload::Varint(value)) => nanos = value as i32,
                (1 | 2, _) => return Err(WireError::WrongWireType),
                _ => {}
            }
        }
    }
    Ok((seconds, nanos))
}

fn type_url_and_content<'w>(parts: &[&'w [u8]]) -> Result<(&'w str, &'w [u8]), WireError> {
    let (mut type_url, mut content): (_, &[u8]) = ("", &[]);
    for part in parts {
        let mut cursor = Cursor::new(part);
        while let Some((number, payload)) = cursor.next_field()? {
            match (number, payload) {
                (1, Payload::Bytes(bytes)) => {
                    type_url = std::str::from_utf8(bytes).map_err(|_| WireError::BadUtf8)?;
                }
                (2, Payload::Bytes(bytes)) => content = bytes,
                (1 | 2, _) => return Err(WireError::WrongWireType),
                _ => {}
            }
        }
    }
    Ok((type_url, content))
}

/// Appends `a_path.of_fields` as `aPath.ofFields`. What camel case cannot bring back is refused.
fn push_camel_case_path(mask: &mut String, path: &[u8]) -> Result<(), WireError> {
    let path = std::str::from_utf8(path).map_err(|_| WireError::BadUtf8)?;
    if !mask.is_empty() {
        mask.push(',');
    }
    let mut after_underscore = false;
    for character in path.chars() {
        match character {
            'A'..='Z' => return Err(WireError::BadFieldMask),
            'a'..='z' if after_underscore => mask.push(character.to_ascii_uppercase()),
            '.' => mask.push('.'),
            _ if after_underscore => return Err(WireError::BadFieldMask),
            '_' => {}
            _ => mask.push(character),
        }
        after_underscore = character == '_';
    }
    Ok(())
}
