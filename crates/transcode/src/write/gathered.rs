//! The gathering pass: fields of a message that are split, repeated or out of order on the wire.

use super::{Stop, Writer, scalar};
use crate::gather::{Occurrence, gather};
use crate::plan::{Cardinality, FieldPlan, Kind, MessagePlan};

impl<'p> Writer<'p, '_> {
    pub(super) fn gathered_fields(&mut self, plan: &'p MessagePlan, parts: &[&[u8]], depth: usize) -> Result<(), Stop> {
        let found = gather(plan, parts)?;
        let mut rest = found.as_slice();
        for (index, field) in plan.fields.iter().enumerate() {
            let count = rest.iter().take_while(|occurrence| occurrence.index == index).count();
            let (occurrences, others) = rest.split_at(count);
            rest = others;
            self.gathered_field(field, occurrences, depth)?;
        }
        Ok(())
    }

    fn gathered_field(&mut self, field: &FieldPlan, found: &[Occurrence<'_>], depth: usize) -> Result<(), Stop> {
        let Some(last) = found.last() else {
            self.defaults(std::slice::from_ref(field));
            return Ok(());
        };
        let start = self.out.len();
        self.key(field);
        self.field_value(field, found, depth)?;
        let is_skipped = match field.cardinality {
            Cardinality::Implicit => self.skips(field.kind, last.payload),
            Cardinality::List { .. } => self.out.ends_with(b"[]") && !self.options.emit_defaults,
            Cardinality::Explicit | Cardinality::Map => false,
        };
        if is_skipped {
            self.out.truncate(start);
        }
        Ok(())
    }

    fn field_value(&mut self, field: &FieldPlan, found: &[Occurrence<'_>], depth: usize) -> Result<(), Stop> {
        match field.cardinality {
            Cardinality::Implicit | Cardinality::Explicit => self.merged(field.kind, found, depth),
            Cardinality::List { .. } => self.list(field.kind, found, depth),
            Cardinality::Map => self.map(field.kind, found, depth),
        }
    }

    pub(super) fn only_value(&mut self, field: &FieldPlan, found: &[Occurrence<'_>]) -> Result<(), Stop> {
        if !found.is_empty() {
            return self.field_value(field, found, 0);
        }
        match field.cardinality {
            Cardinality::List { .. } => self.out.extend_from_slice(b"[]"),
            Cardinality::Map => self.out.extend_from_slice(b"{}"),
            Cardinality::Implicit | Cardinality::Explicit if field.kind.message().is_some() => {
                self.out.extend_from_slice(b"null");
            }
            Cardinality::Implicit | Cardinality::Explicit => self.zero(field.kind, 0)?,
        }
        Ok(())
    }

    pub(super) fn list(&mut self, kind: Kind, found: &[Occurrence<'_>], depth: usize) -> Result<(), Stop> {
        self.out.push(b'[');
        for occurrence in found {
            self.elements(kind, occurrence.payload, depth)?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// The one value that several occurrences of a field make: messages merge, of others the last one counts.
    pub(super) fn merged(&mut self, kind: Kind, found: &[Occurrence<'_>], depth: usize) -> Result<(), Stop> {
        if let Some(id) = kind.message() {
            let parts = found
                .iter()
                .map(|occurrence| scalar::message_bytes(kind, occurrence.payload))
                .collect::<Result<Vec<_>, _>>()?;
            return self.message(id, &parts, depth + 1);
        }
        let start = self.out.len();
        for occurrence in found {
            // Replaced values are written too, so that they are checked.
            self.out.truncate(start);
            self.single(kind, occurrence.payload, depth)?;
        }
        Ok(())
    }
}
