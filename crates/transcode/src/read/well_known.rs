//! Well-known types from the form of their own that they have in JSON.

use std::borrow::Cow;

use super::failure::Failure;
use super::lexer::Start;
use super::{Reader, scalar};
use crate::plan::{Kind, MessageId, MessagePlan, Scalar, Shape};
use crate::time;
use crate::wire::{WireType, push_bytes, push_tag, push_varint};

pub(crate) const EXPECTED_TIMESTAMP: &str = "expected a time such as \"2026-01-02T03:04:05Z\"";
pub(crate) const EXPECTED_DURATION: &str = "expected a duration such as \"1.5s\"";
const EXPECTED_FIELD_MASK: &str = "expected field names in camelCase, separated by commas";

impl<'p, 'j> Reader<'p, 'j, '_> {
    pub(super) fn timestamp(&mut self) -> Result<(), Failure> {
        let text = self.text_of("a string with a time")?;
        push_time(time::parse_timestamp(&text), self.out).ok_or_else(|| Failure::rule(EXPECTED_TIMESTAMP))
    }

    pub(super) fn duration(&mut self) -> Result<(), Failure> {
        let text = self.text_of("a string with a duration")?;
        push_time(time::parse_duration(&text), self.out).ok_or_else(|| Failure::rule(EXPECTED_DURATION))
    }

    pub(super) fn field_mask(&mut self) -> Result<(), Failure> {
        let text = self.text_of("a string of field names")?;
        if text.contains('_') {
            return Err(Failure::rule(EXPECTED_FIELD_MASK));
        }
        push_field_mask(&text, self.out);
        Ok(())
    }

    /// Any JSON at all; `plan` is the message with one field for each kind of it.
    pub(super) fn value(&mut self, plan: &'p MessagePlan) -> Result<(), Failure> {
        let number = match self.lexer.start()? {
            Start::Null => 1,
            Start::Number => 2,
            Start::Text => 3,
            Start::Bool => 4,
            Start::Object => 5,
            Start::List => 6,
        };
        let index = plan
            .index_of(number)
            .ok_or_else(|| Failure::rule("google.protobuf.Value lacks a field"))?;
        self.single(number, plan.fields[index].kind)
    }

    /// `@type` may come after the fields that need it, so it is looked for first.
    pub(super) fn any(&mut self) -> Result<(), Failure> {
        let Some(type_url) = self.type_url()? else {
            return self.empty_any();
        };
        push_tag(self.out, 1, WireType::Bytes);
        push_bytes(self.out, type_url.as_bytes());
        match self.plans.message_of_type_url(&type_url) {
            None => self.any_value(Kind::Scalar(Scalar::Bytes)),
            Some(id) => self.known_any(id),
        }
    }

    fn known_any(&mut self, id: MessageId) -> Result<(), Failure> {
        let plan = self.plans.message_plan(id);
        match plan.shape {
            Shape::Plain => self.nested(2, |reader| reader.object(plan, "@type")),
            _ => self.any_value(Kind::Message(id)),
        }
    }

    /// The member `value` beside `@type`, as the field of that number.
    fn any_value(&mut self, kind: Kind) -> Result<(), Failure> {
        self.lexer.open_object()?;
        let mut is_first = true;
        let mut has_value = false;
        while let Some(name) = self.lexer.next_name(&mut is_first)? {
            match name.as_ref() {
                "@type" => self.lexer.skip_value()?,
                "value" if has_value => return Err(Failure::rule("is given twice").in_field("value")),
                "value" => {
                    has_value = true;
                    self.single(2, kind).map_err(|failure| failure.in_field("value"))?;
                }
                _ => return Err(Failure::rule("unknown field").in_field(&super::failure::shortened(&name))),
            }
        }
        if has_value {
            Ok(())
        } else {
            Err(Failure::rule("is missing").in_field("value"))
        }
    }

    fn empty_any(&mut self) -> Result<(), Failure> {
        self.lexer.open_object()?;
        match self.lexer.next_name(&mut true)? {
            None => Ok(()),
            Some(_) => Err(Failure::rule("is missing").in_field("@type")),
        }
    }

    fn type_url(&mut self) -> Result<Option<Cow<'j, str>>, Failure> {
        self.lexer.start()?;
        let mut ahead = self.lexer.ahead();
        ahead.open_object()?;
        let mut type_url = None;
        let mut is_first = true;
        while let Some(name) = ahead.next_name(&mut is_first)? {
            if name != "@type" {
                ahead.skip_value()?;
                continue;
            }
            if type_url.is_some() {
                return Err(Failure::rule("is given twice").in_field("@type"));
            }
            if ahead.start()? != Start::Text {
                return Err(ahead.mismatch("a string").in_field("@type"));
            }
            type_url = Some(ahead.text().map_err(|failure| failure.in_field("@type"))?);
        }
        Ok(type_url)
    }

    fn text_of(&mut self, expected: &str) -> Result<Cow<'j, str>, Failure> {
        match self.lexer.start()? {
            Start::Text => self.lexer.text(),
            _ => Err(self.lexer.mismatch(expected)),
        }
    }
}

/// Appends the fields of a timestamp or a duration, if there is one.
pub(crate) fn push_time(time: Option<(i64, i32)>, out: &mut Vec<u8>) -> Option<()> {
    let (seconds, nanos) = time?;
    for (number, value) in [(1, seconds), (2, i64::from(nanos))] {
        if value != 0 {
            push_tag(out, number, WireType::Varint);
            push_varint(out, value as u64);
        }
    }
    Some(())
}

/// Appends the paths of a mask, each in snake_case.
pub(crate) fn push_field_mask(text: &str, out: &mut Vec<u8>) {
    for path in text.split(',').filter(|path| !path.is_empty()) {
        let mut snake_case = String::with_capacity(path.len() + 4);
        for character in path.chars() {
            if character.is_ascii_uppercase() {
                snake_case.push('_');
            }
            snake_case.push(character.to_ascii_lowercase());
        }
        push_tag(out, 1, WireType::Bytes);
        push_bytes(out, snake_case.as_bytes());
    }
}

/// Appends a message of a well-known type that has a text form; nothing is appended for other messages.
pub(crate) fn push_well_known_text(
    plan: &MessagePlan,
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), scalar::Expectation> {
    match plan.shape {
        Shape::Timestamp => push_time(time::parse_timestamp(text), out).ok_or(EXPECTED_TIMESTAMP.into()),
        Shape::Duration => push_time(time::parse_duration(text), out).ok_or(EXPECTED_DURATION.into()),
        Shape::FieldMask => {
            push_field_mask(text, out);
            Ok(())
        }
        Shape::Wrapper => {
            let scalar = plan.fields[0].kind.scalar().ok_or("cannot be given as a parameter")?;
            push_tag(out, 1, scalar.wire_type());
            scalar::push_text(scalar, text, out)
        }
        Shape::Plain | Shape::Empty | Shape::Any | Shape::ListValue | Shape::Struct | Shape::Value => {
            Err("cannot be given as a parameter".into())
        }
    }
}
