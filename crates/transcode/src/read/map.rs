//! JSON objects that are protobuf maps.

use std::borrow::Cow;
use std::collections::HashSet;

use super::failure::Failure;
use super::{Reader, scalar};
use crate::plan::{FieldPlan, Scalar};
use crate::wire::{push_bytes, push_tag};

/// Above this many keys a hash finds a duplicate sooner than a look at each.
const FEW_KEYS: usize = 8;

impl<'p> Reader<'p, '_, '_> {
    pub(super) fn map(&mut self, field: &'p FieldPlan) -> Result<(), Failure> {
        let id = field
            .kind
            .message()
            .expect("the kind of a map field is its entry message");
        let entry = self.plans.message_plan(id);
        let key_scalar = entry.fields[0].kind.scalar().expect("map keys are scalars");
        let value_kind = entry.fields[1].kind;
        self.lexer.open_object()?;
        let mut keys = Keys::default();
        let mut is_first = true;
        while let Some(name) = self.lexer.next_name(&mut is_first)? {
            let read = self.nested(field.number, |reader| {
                reader.map_key(key_scalar, &name)?;
                reader.single(2, value_kind)
            });
            read.map_err(|failure| failure.at_key(&name))?;
            keys.enter(key_scalar, name)?;
        }
        Ok(())
    }

    fn map_key(&mut self, scalar: Scalar, name: &str) -> Result<(), Failure> {
        push_tag(self.out, 1, scalar.wire_type());
        match (scalar, name) {
            (Scalar::Bool, "true") => self.out.push(1),
            (Scalar::Bool, "false") => self.out.push(0),
            (Scalar::Bool, _) => return Err(Failure::rule("expected the key \"true\" or \"false\"")),
            (Scalar::Integer(integer), _) => {
                scalar::push_integer_text(integer, name, self.out).map_err(Failure::rule)?;
            }
            // No other kind can be a key but strings.
            (_, _) => push_bytes(self.out, name.as_bytes()),
        }
        Ok(())
    }
}

/// The keys of one object so far.
#[derive(Default)]
struct Keys<'j> {
    few: Vec<Cow<'j, str>>,
    many: HashSet<Cow<'j, str>>,
}

impl<'j> Keys<'j> {
    fn enter(&mut self, scalar: Scalar, name: Cow<'j, str>) -> Result<(), Failure> {
        let key = canonical(scalar, name);
        if self.few.contains(&key) || self.many.contains(&key) {
            return Err(Failure::rule("key is given twice").at_key(&key));
        }
        if self.few.len() < FEW_KEYS {
            self.few.push(key);
        } else {
            self.many.insert(key);
        }
        Ok(())
    }
}

/// Keys that are one number are one key, as `1` and `1e0` are.
fn canonical(scalar: Scalar, name: Cow<'_, str>) -> Cow<'_, str> {
    match (scalar, scalar::integer(&name)) {
        (Scalar::Integer(_), Ok(number)) => Cow::Owned(number.to_string()),
        (_, _) => name,
    }
}
