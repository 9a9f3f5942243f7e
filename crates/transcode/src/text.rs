//! Path and query parameters: text into the wire bytes of one field, however deep.

use crate::FieldViolation;
use crate::plan::{Cardinality, FieldPlan, Kind, MessageId, MessagePlan, Plans, Scalar, Shape};
use crate::read::{push_well_known_text, scalar};
use crate::wire::{WireType, close_length, open_length, push_tag};

impl Plans {
    /// Reads a parameter into wire bytes, appended to `out`, which is left as it was if the parameter is refused.
    ///
    /// `field_path` is in camelCase or snake_case (`bookmark.id`, `pageSize`, `page_size`); several `values` need a
    /// repeated field. Wire bytes of several parameters may be put one after the other: messages merge.
    pub fn read_text(
        &self,
        message: MessageId,
        field_path: &str,
        values: &[&str],
        out: &mut Vec<u8>,
    ) -> Result<(), FieldViolation> {
        let start = out.len();
        let mut path = Path {
            plans: self,
            json_path: String::new(),
        };
        path.push(message, field_path, values, out).map_err(|description| {
            out.truncate(start);
            FieldViolation {
                field: path.json_path,
                description: description.into_owned(),
            }
        })
    }
}

/// The way down to a field, as far as it has been walked.
struct Path<'p> {
    plans: &'p Plans,
    json_path: String,
}

impl<'p> Path<'p> {
    fn push(
        &mut self,
        message: MessageId,
        field_path: &str,
        values: &[&str],
        out: &mut Vec<u8>,
    ) -> Result<(), scalar::Expectation> {
        let (name, deeper) = match field_path.split_once('.') {
            Some((name, deeper)) => (name, Some(deeper)),
            None => (field_path, None),
        };
        let field = self.step(self.plans.message_plan(message), name)?;
        let Some(deeper) = deeper else {
            return self.push_values(field, values, out);
        };
        let inner = self.plain_message(field).ok_or("is not a message with fields")?;
        push_tag(out, field.number, WireType::Bytes);
        let start = open_length(out);
        self.push(inner, deeper, values, out)?;
        close_length(out, start);
        Ok(())
    }

    fn step(&mut self, plan: &'p MessagePlan, name: &str) -> Result<&'p FieldPlan, scalar::Expectation> {
        if !self.json_path.is_empty() {
            self.json_path.push('.');
        }
        let field = plan.index_of_name(name).map(|index| &plan.fields[index]);
        self.json_path.push_str(field.map_or(name, |field| &field.json_name));
        field.ok_or("unknown field".into())
    }

    fn plain_message(&self, field: &FieldPlan) -> Option<MessageId> {
        match (field.cardinality, field.kind) {
            (Cardinality::Explicit, Kind::Message(id)) => {
                (self.plans.message_plan(id).shape == Shape::Plain).then_some(id)
            }
            _ => None,
        }
    }

    fn push_values(
        &mut self,
        field: &FieldPlan,
        values: &[&str],
        out: &mut Vec<u8>,
    ) -> Result<(), scalar::Expectation> {
        match field.cardinality {
            Cardinality::Map => return Err("a map cannot be given as a parameter".into()),
            Cardinality::Implicit | Cardinality::Explicit if values.len() > 1 => return Err("is given twice".into()),
            Cardinality::Implicit | Cardinality::Explicit => {
                for value in values {
                    self.push_value(field, value, out)?;
                }
            }
            Cardinality::List { .. } => {
                for (index, value) in values.iter().enumerate() {
                    let pushed = self.push_value(field, value, out);
                    pushed.inspect_err(|_| self.json_path.push_str(&format!("[{index}]")))?;
                }
            }
        }
        Ok(())
    }

    /// One value with its tag. Elements of packed lists are not packed; readers take both forms.
    fn push_value(&self, field: &FieldPlan, text: &str, out: &mut Vec<u8>) -> Result<(), scalar::Expectation> {
        push_tag(out, field.number, field.kind.wire_type());
        match field.kind {
            Kind::Message(id) => {
                let start = open_length(out);
                push_well_known_text(self.plans.message_plan(id), text, out)?;
                close_length(out, start);
                Ok(())
            }
            Kind::Group(_) => Err("cannot be given as a parameter".into()),
            Kind::Scalar(Scalar::Enum(id)) => scalar::push_enum_text(self.plans.enum_plan(id), text, out),
            Kind::Scalar(scalar) => scalar::push_text(scalar, text, out),
        }
    }
}
