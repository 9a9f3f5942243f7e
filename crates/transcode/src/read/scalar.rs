//! Single values from JSON tokens and from text: numbers, strings, bytes, booleans, enums.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Reader;
use super::failure::Failure;
use super::lexer::{Start, number_length};
use crate::plan::{EnumPlan, Kind};
use crate::wire::{close_length, open_length, push_bytes, push_varint};

/// What a value should have been, for people.
pub(crate) type Expectation = Cow<'static, str>;

/// Padding may be there or not, as ProtoJSON demands of readers.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

impl Reader<'_, '_, '_> {
    /// A value that is not a message, without its tag.
    #[inline]
    pub(super) fn scalar(&mut self, kind: Kind) -> Result<(), Failure> {
        match (kind, self.lexer.start()?) {
            (Kind::String, Start::Text) => {
                let text = self.lexer.text()?;
                push_bytes(self.out, text.as_bytes());
                Ok(())
            }
            (Kind::Bool, Start::Bool) => {
                let value = self.lexer.boolean()?;
                self.out.push(u8::from(value));
                Ok(())
            }
            (Kind::Enum(id), Start::Text) => {
                let name = self.lexer.text()?;
                let plan = self.plans.enum_plan(id);
                let number = plan.number(&name).ok_or_else(|| Failure::rule(expected_name(plan)))?;
                push_varint(self.out, i64::from(number) as u64);
                Ok(())
            }
            (Kind::Enum(_), Start::Number) => self.number(Kind::Int32),
            (Kind::Null, Start::Null) => {
                self.out.push(0);
                self.lexer.null()
            }
            (Kind::Null, Start::Text) if self.lexer.text()? == "NULL_VALUE" => {
                self.out.push(0);
                Ok(())
            }
            (Kind::Null, Start::Text) => Err(Failure::rule("expected null")),
            (Kind::Bytes, Start::Text) => {
                let text = self.lexer.text()?;
                push_base64(&text, self.out).map_err(Failure::rule)
            }
            (Kind::Double | Kind::Float, Start::Text) => {
                let text = self.lexer.text()?;
                push_float_text(kind, &text, self.out).map_err(Failure::rule)
            }
            (Kind::String | Kind::Bytes | Kind::Bool | Kind::Null | Kind::Enum(_), _) => {
                Err(self.lexer.mismatch(expected(kind)))
            }
            (_, Start::Number) => self.number(kind),
            (_, Start::Text) => {
                let text = self.lexer.text()?;
                push_integer_text(kind, &text, self.out).map_err(Failure::rule)
            }
            _ => Err(self.lexer.mismatch(expected(kind))),
        }
    }

    fn number(&mut self, kind: Kind) -> Result<(), Failure> {
        let number = self.lexer.number()?;
        let pushed = match kind {
            Kind::Double | Kind::Float => push_float(kind, number, self.out),
            _ => push_integer(kind, number, self.out),
        };
        pushed.map_err(Failure::rule)
    }
}

/// Appends a value given as text: a path or query parameter.
pub(crate) fn push_text(kind: Kind, text: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    match (kind, text) {
        (Kind::String, _) => push_bytes(out, text.as_bytes()),
        (Kind::Bool, "true") => out.push(1),
        (Kind::Bool, "false") => out.push(0),
        (Kind::Null, "null" | "NULL_VALUE") => out.push(0),
        (Kind::Bytes, _) => push_base64(text, out)?,
        (Kind::Double | Kind::Float, _) => push_float_text(kind, text, out)?,
        (Kind::Bool | Kind::Null, _) => return Err(format!("expected {}", expected(kind)).into()),
        _ => push_integer_text(kind, text, out)?,
    }
    Ok(())
}

/// An enum's number from its name, or from the number as text.
pub(crate) fn push_enum_text(plan: &EnumPlan, text: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    let number = plan
        .number(text)
        .or_else(|| text.parse().ok())
        .ok_or_else(|| expected_name(plan))?;
    push_varint(out, i64::from(number) as u64);
    Ok(())
}

/// Appends an integer that came in quotes or as a map key.
pub(super) fn push_integer_text(kind: Kind, text: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    if number_length(text.as_bytes()) != Some(text.len()) {
        return Err(expected_range(kind));
    }
    push_integer(kind, text, out)
}

/// The exact value of a JSON number, if it has no fraction: `1.0` and `1e3` are integers too.
pub(super) fn integer(number: &str) -> Result<i128, NotInteger> {
    if let Ok(value) = number.parse::<i64>() {
        return Ok(i128::from(value));
    }
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let significant = digits.trim_end_matches('0');
    if significant.trim_start_matches('0').is_empty() {
        return Ok(0);
    }
    // An exponent that i64 cannot hold is far outside of every integer type anyway.
    let exponent: i64 = exponent.parse().map_err(|_| NotInteger::OutOfRange)?;
    let point = exponent.saturating_add((digits.len() - fraction.len()) as i64);
    if (significant.len() as i64) > point {
        return Err(NotInteger::Fraction);
    }
    let zeros = usize::try_from(point - significant.len() as i64).unwrap_or(usize::MAX);
    if zeros > 20 {
        return Err(NotInteger::OutOfRange);
    }
    let sign = if whole.starts_with('-') { "-" } else { "" };
    format!("{sign}{significant}{}", "0".repeat(zeros))
        .parse()
        .map_err(|_| NotInteger::OutOfRange)
}

pub(super) enum NotInteger {
    Fraction,
    OutOfRange,
}

fn push_integer(kind: Kind, number: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    let value = integer(number).map_err(|problem| match problem {
        NotInteger::Fraction => Cow::Borrowed("expected a number without a fraction"),
        NotInteger::OutOfRange => expected_range(kind),
    })?;
    let (low, high) = range(kind);
    if !(low..=high).contains(&value) {
        return Err(expected_range(kind));
    }
    match kind {
        Kind::Sint32 | Kind::Sint64 => push_varint(out, zigzag(value as i64)),
        Kind::Fixed32 | Kind::Sfixed32 => out.extend_from_slice(&(value as u32).to_le_bytes()),
        Kind::Fixed64 | Kind::Sfixed64 => out.extend_from_slice(&(value as u64).to_le_bytes()),
        _ => push_varint(out, value as u64),
    }
    Ok(())
}

fn push_float_text(kind: Kind, text: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    let special = match text {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ if number_length(text.as_bytes()) == Some(text.len()) => return push_float(kind, text, out),
        _ => {
            return Err(Cow::Borrowed(
                "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
            ));
        }
    };
    match kind {
        Kind::Float => out.extend_from_slice(&(special as f32).to_le_bytes()),
        _ => out.extend_from_slice(&special.to_le_bytes()),
    }
    Ok(())
}

/// Parsed at the field's own width, since rounding twice can give another number.
fn push_float(kind: Kind, number: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    if kind == Kind::Float {
        let value: f32 = number.parse().unwrap_or(f32::INFINITY);
        out.extend_from_slice(&value.to_le_bytes());
        return if value.is_finite() {
            Ok(())
        } else {
            Err("expected a number in the range of a float".into())
        };
    }
    let value: f64 = number.parse().unwrap_or(f64::INFINITY);
    out.extend_from_slice(&value.to_le_bytes());
    if value.is_finite() {
        Ok(())
    } else {
        Err("expected a number in the range of a double".into())
    }
}

fn push_base64(text: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    let engine = if text.contains(['-', '_']) {
        &BASE64_URL
    } else {
        &BASE64
    };
    let start = open_length(out);
    engine
        .decode_vec(text, out)
        .map_err(|_| Cow::Borrowed("expected base64"))?;
    close_length(out, start);
    Ok(())
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn range(kind: Kind) -> (i128, i128) {
    match kind {
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => (i64::MIN.into(), i64::MAX.into()),
        Kind::Uint64 | Kind::Fixed64 => (0, u64::MAX.into()),
        Kind::Uint32 | Kind::Fixed32 => (0, u32::MAX.into()),
        _ => (i32::MIN.into(), i32::MAX.into()),
    }
}

fn expected_range(kind: Kind) -> Expectation {
    let (low, high) = range(kind);
    format!("expected an integer from {low} to {high}").into()
}

fn expected_name(plan: &EnumPlan) -> Expectation {
    format!("expected one of {}", plan.listed_names()).into()
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Double | Kind::Float => "a number",
        Kind::String => "a string",
        Kind::Bytes => "a string of base64",
        Kind::Bool => "true or false",
        Kind::Null => "null",
        Kind::Enum(_) => "the name of an enum value",
        Kind::Message(_) | Kind::Group(_) => "an object",
        _ => "an integer",
    }
}
