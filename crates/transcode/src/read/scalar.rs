//! Single values from JSON tokens and from text: numbers, strings, bytes, booleans, enums.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Reader;
use super::failure::Failure;
use super::lexer::{Start, number_length};
use crate::integer::Integer;
use crate::plan::{EnumPlan, Scalar};
use crate::wire::{close_length, open_length, push_bytes, push_varint};

/// What a value should have been, for people.
pub(crate) type Expectation = Cow<'static, str>;

const EXPECTED_FLOAT: &str = "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"";

/// Padding may be there or not, as ProtoJSON demands of readers.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

impl Reader<'_, '_, '_> {
    /// A value without its tag.
    #[inline]
    pub(super) fn scalar(&mut self, scalar: Scalar) -> Result<(), Failure> {
        match (scalar, self.lexer.start()?) {
            (Scalar::String, Start::Text) => push_bytes(self.out, self.lexer.text()?.as_bytes()),
            (Scalar::Bool, Start::Bool) => self.out.push(u8::from(self.lexer.boolean()?)),
            (Scalar::Integer(integer), Start::Number) => {
                push_integer(integer, self.lexer.number()?, self.out).map_err(Failure::rule)?;
            }
            (Scalar::Enum(_), Start::Number) => {
                push_integer(Integer::Int32, self.lexer.number()?, self.out).map_err(Failure::rule)?;
            }
            (Scalar::Double, Start::Number) => {
                push_double(self.lexer.number()?, self.out).map_err(Failure::rule)?;
            }
            (Scalar::Float, Start::Number) => {
                push_float(self.lexer.number()?, self.out).map_err(Failure::rule)?;
            }
            (Scalar::Enum(id), Start::Text) => {
                let plan = self.plans.enum_plan(id);
                let number = plan.number(&self.lexer.text()?);
                let number = number.ok_or_else(|| Failure::rule(expected_name(plan)))?;
                push_varint(self.out, i64::from(number) as u64);
            }
            (Scalar::Null, Start::Null) => {
                self.lexer.null()?;
                self.out.push(0);
            }
            (Scalar::Integer(_) | Scalar::Double | Scalar::Float | Scalar::Bytes | Scalar::Null, Start::Text) => {
                push_text(scalar, &self.lexer.text()?, self.out).map_err(Failure::rule)?;
            }
            (_, _) => return Err(self.lexer.mismatch(expected(scalar))),
        }
        Ok(())
    }
}

/// Appends a value given as text: a parameter, or a JSON string that stands for something else.
pub(crate) fn push_text(scalar: Scalar, text: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    match (scalar, text) {
        (Scalar::Integer(integer), _) => push_integer_text(integer, text, out)?,
        (Scalar::Double, _) => push_double_text(text, out)?,
        (Scalar::Float, _) => push_float_text(text, out)?,
        (Scalar::Bytes, _) => push_base64(text, out)?,
        (Scalar::String, _) => push_bytes(out, text.as_bytes()),
        (Scalar::Bool, "true") => out.push(1),
        (Scalar::Bool, "false") => out.push(0),
        (Scalar::Null, "NULL_VALUE") => out.push(0),
        (Scalar::Bool | Scalar::Null | Scalar::Enum(_), _) => {
            return Err(format!("expected {}", expected(scalar)).into());
        }
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
pub(super) fn push_integer_text(integer: Integer, text: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    if !is_number(text) {
        return Err(expected_range(integer));
    }
    push_integer(integer, text, out)
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

fn push_integer(integer: Integer, number: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    let value = self::integer(number).map_err(|problem| match problem {
        NotInteger::Fraction => Cow::Borrowed("expected a number without a fraction"),
        NotInteger::OutOfRange => expected_range(integer),
    })?;
    if !integer.range().contains(&value) {
        return Err(expected_range(integer));
    }
    integer.push(value, out);
    Ok(())
}

fn push_double_text(text: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    match named_number(text) {
        Some(value) => out.extend_from_slice(&value.to_le_bytes()),
        None if is_number(text) => push_double(text, out)?,
        None => return Err(EXPECTED_FLOAT.into()),
    }
    Ok(())
}

fn push_float_text(text: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    match named_number(text) {
        Some(value) => out.extend_from_slice(&(value as f32).to_le_bytes()),
        None if is_number(text) => push_float(text, out)?,
        None => return Err(EXPECTED_FLOAT.into()),
    }
    Ok(())
}

fn push_double(number: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    let value = number.parse().ok().filter(|value: &f64| value.is_finite());
    out.extend_from_slice(&value.ok_or("expected a number in the range of a double")?.to_le_bytes());
    Ok(())
}

/// Parsed as a float from the start, since rounding twice can give another number.
fn push_float(number: &str, out: &mut Vec<u8>) -> Result<(), Expectation> {
    let value = number.parse().ok().filter(|value: &f32| value.is_finite());
    out.extend_from_slice(&value.ok_or("expected a number in the range of a float")?.to_le_bytes());
    Ok(())
}

fn named_number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn is_number(text: &str) -> bool {
    number_length(text.as_bytes()) == Some(text.len())
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

fn expected_range(integer: Integer) -> Expectation {
    let range = integer.range();
    format!("expected an integer from {} to {}", range.start(), range.end()).into()
}

fn expected_name(plan: &EnumPlan) -> Expectation {
    format!("expected one of {}", plan.listed_names()).into()
}

fn expected(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Integer(_) => "an integer",
        Scalar::Double | Scalar::Float => "a number",
        Scalar::String => "a string",
        Scalar::Bytes => "a string of base64",
        Scalar::Bool => "true or false",
        Scalar::Enum(_) => "the name of an enum value",
        Scalar::Null => "null",
    }
}
