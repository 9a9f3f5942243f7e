//! Puts the fields of a message in order when the wire has them split, repeated or mixed.

use crate::WireError;
use crate::plan::MessagePlan;
use crate::wire::{Cursor, Payload};

/// One field as found on the wire; `index` is its place in the message's plan.
#[derive(Clone, Copy)]
pub(crate) struct Occurrence<'w> {
    pub(crate) index: usize,
    pub(crate) payload: Payload<'w>,
}

/// All known fields of a message that came in `parts`, by ascending number and else as they came. Of each oneof only
/// the member that came last is left, as if the parts had been merged one field after the other;
/// what it replaced is not looked into.
pub(crate) fn gather<'w>(plan: &MessagePlan, parts: &[&'w [u8]]) -> Result<Vec<Occurrence<'w>>, WireError> {
    let mut found = Vec::new();
    let mut oneofs = Oneofs::new(plan);
    for part in parts {
        let mut cursor = Cursor::new(part);
        while let Some((number, payload)) = cursor.next_field()? {
            if let Some(index) = plan.index_of(number) {
                oneofs.note(plan, index, found.len());
                found.push(Occurrence { index, payload });
            }
        }
    }
    oneofs.drop_replaced(&mut found);
    found.sort_by_key(|occurrence| occurrence.index);
    Ok(found)
}

/// Which occurrences of oneof members were replaced by a later member.
struct Oneofs {
    /// Per oneof the member that came last.
    members: Vec<Option<usize>>,
    /// Per field the position from which its occurrences count; empty for messages without oneofs.
    live_from: Vec<usize>,
}

impl Oneofs {
    fn new(plan: &MessagePlan) -> Self {
        let fields = if plan.oneofs.is_empty() { 0 } else { plan.fields.len() };
        Self {
            members: vec![None; plan.oneofs.len()],
            live_from: vec![0; fields],
        }
    }

    fn note(&mut self, plan: &MessagePlan, index: usize, position: usize) {
        let Some(oneof) = plan.fields[index].oneof else { return };
        if let Some(member) = self.members[oneof].replace(index)
            && member != index
        {
            self.live_from[member] = position;
        }
    }

    fn drop_replaced(&self, found: &mut Vec<Occurrence<'_>>) {
        if self.live_from.is_empty() {
            return;
        }
        let mut position = 0;
        found.retain(|occurrence| {
            position += 1;
            position > self.live_from[occurrence.index]
        });
    }
}
