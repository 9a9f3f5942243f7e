//! JSON objects that are protobuf maps.

use std::borrow::Cow;
use std::collections::HashSet;

use super::failure::Failure;
use super::{Reader, scalar};
use crate::plan::{FieldPlan, Kind};
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
        let (key_kind, value_kind) = (entry.fields[0].kind, entry.fields[1].kind);
        self.lexer.open_object()?;
        let mut keys = Keys::default();
        let mut is_first = true;
        while let Some(name) = self.lexer.next_name(&mut is_first)? {
            let read = self.nested(field.number, |reader| {
                reader.map_key(key_kind, &name)?;
                reader.single(2, value_kind)
            });
            read.map_err(|failure| failure.at_key(&name))?;
            keys.enter(key_kind, name)?;
        }
        Ok(())
    }

    fn map_key(&mut self, kind: Kind, name: &str) -> Result<(), Failure> {
        push_tag(self.out, 1, kind.wire_type());
        match (kind, name) {
            (Kind::String, _) => push_bytes(self.out, name.as_bytes()),
            (Kind::Bool, "true") => self.out.push(1),
            (Kind::Bool, "false") => self.out.push(0),
            (Kind::Bool, _) => return Err(Failure::rule("expected the key \"true\" or \"false\"")),
            _ => scalar::push_integer_text(kind, name, self.out).map_err(Failure::rule)?,
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
    fn enter(&mut self, kind: Kind, name: Cow<'j, str>) -> Result<(), Failure> {
        let key = canonical(kind, name);
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
fn canonical(kind: Kind, name: Cow<'_, str>) -> Cow<'_, str> {
    match kind {
        Kind::String | Kind::Bool => name,
        _ => match scalar::integer(&name) {
            Ok(number) => Cow::Owned(number.to_string()),
            Err(_) => name,
        },
    }
}
