//! Fields by their names: `bookmark.createTime` or `bookmark.create_time`.

use crate::plan::{Cardinality, Shape};
use crate::{MessageId, Plans};

/// A field of a message or of a message in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FieldPath {
    /// The numbers from the outermost field in.
    pub(crate) numbers: Vec<u32>,
    /// The camelCase names, joined by dots.
    pub(crate) name: String,
}

/// The field that a path of names in either spelling leads to. Lists, maps and messages with a JSON form of their own
/// can only be its end.
pub(crate) fn resolve(plans: &Plans, message: MessageId, path: &str) -> Option<FieldPath> {
    let mut found = FieldPath {
        numbers: Vec::new(),
        name: String::with_capacity(path.len()),
    };
    let mut parent = Some(message);
    for name in path.split('.') {
        let plan = plans.message_plan(parent?);
        if plan.shape != Shape::Plain {
            return None;
        }
        let field = &plan.fields[plan.index_of_name(name)?];
        if !found.name.is_empty() {
            found.name.push('.');
        }
        found.name.push_str(&field.json_name);
        found.numbers.push(field.number);
        parent = match field.cardinality {
            Cardinality::List { .. } | Cardinality::Map => None,
            Cardinality::Implicit | Cardinality::Explicit => field.kind.message(),
        };
    }
    Some(found)
}
