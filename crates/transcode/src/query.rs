//! Query parameters into fields of the request.

use std::borrow::Cow;

use crate::fields::{self, FieldPath};
use crate::percent::{self, Place};
use crate::{FieldViolation, MessageId, Plans};

/// One field with all the values that the query has for it, in their order.
struct Parameter<'q> {
    field: FieldPath,
    values: Vec<Cow<'q, str>>,
}

/// Appends the fields that the query names. `taken` answers who else fills a field, as in `the path`.
pub(crate) fn read(
    plans: &Plans,
    message: MessageId,
    query: &str,
    taken: impl Fn(&[u32]) -> Option<&'static str>,
    out: &mut Vec<u8>,
) -> Result<(), Vec<FieldViolation>> {
    let mut violations = Vec::new();
    let mut parameters: Vec<Parameter<'_>> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match read_pair(plans, message, pair) {
            Ok((field, value)) => match parameters.iter_mut().find(|parameter| parameter.field == field) {
                Some(parameter) => parameter.values.push(value),
                None => parameters.push(Parameter {
                    field,
                    values: vec![value],
                }),
            },
            Err(violation) => violations.push(violation),
        }
    }
    for parameter in parameters {
        if let Some(owner) = taken(&parameter.field.numbers) {
            let description = format!("is taken from {owner}, not from the query");
            violations.push(FieldViolation {
                field: parameter.field.name,
                description,
            });
            continue;
        }
        let values: Vec<&str> = parameter.values.iter().map(Cow::as_ref).collect();
        if let Err(violation) = plans.read_text(message, &parameter.field.name, &values, out) {
            violations.push(violation);
        }
    }
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

fn read_pair<'q>(
    plans: &Plans,
    message: MessageId,
    pair: &'q str,
) -> Result<(FieldPath, Cow<'q, str>), FieldViolation> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let violation = |field: &str, description: &str| FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
    };
    let broken = "has a broken percent-escape or is not UTF-8";
    let name = percent::decode(name, Place::Query).ok_or_else(|| violation(name, broken))?;
    let field = fields::resolve(plans, message, &name).ok_or_else(|| violation(&name, "is not a known parameter"))?;
    match percent::decode(value, Place::Query) {
        Some(value) => Ok((field, value)),
        None => Err(violation(&field.name, broken)),
    }
}
