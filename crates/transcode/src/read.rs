//! Reads JSON straight into wire bytes.

mod failure;
mod lexer;
mod map;
pub(crate) mod scalar;
mod well_known;

use self::failure::Failure;
use self::lexer::{Lexer, Start};
pub(crate) use self::well_known::push_well_known_text;
use crate::plan::{Cardinality, FieldPlan, Kind, MessageId, MessagePlan, Plans, Scalar, Shape};
use crate::wire::{WireType, close_length, open_length, push_tag};
use crate::{FieldViolation, JsonError, MAX_DEPTH};

impl Plans {
    /// Reads a JSON body into wire bytes, appended to `out`, which is left as it was if the body is refused.
    pub fn read_json(&self, message: MessageId, json: &[u8], out: &mut Vec<u8>) -> Result<(), JsonError> {
        self.read(json, out, |reader| reader.message(message))
    }

    /// Reads a JSON body that is the value of one field of the message (`body: "bookmark"`). Paths in errors start at
    /// the value, and `null` is the same as no field.
    pub fn read_json_field(
        &self,
        message: MessageId,
        field_number: u32,
        json: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        let plan = self.message_plan(message);
        let Some(index) = plan.index_of(field_number) else {
            let description = format!("message has no field {field_number}");
            return Err(FieldViolation {
                field: String::new(),
                description,
            }
            .into());
        };
        self.read(json, out, |reader| {
            reader.field_or_null(&plan.fields[index]).map(|_| ())
        })
    }

    fn read<'p, 'j>(
        &'p self,
        json: &'j [u8],
        out: &mut Vec<u8>,
        content: impl FnOnce(&mut Reader<'p, 'j, '_>) -> Result<(), Failure>,
    ) -> Result<(), JsonError> {
        let start = out.len();
        let mut reader = Reader {
            plans: self,
            lexer: Lexer::new(json),
            out,
            wire_depth: 0,
        };
        let read = content(&mut reader).and_then(|()| reader.lexer.end());
        read.map_err(|failure| {
            out.truncate(start);
            failure.into_error(json)
        })
    }
}

struct Reader<'p, 'j, 'o> {
    plans: &'p Plans,
    lexer: Lexer<'j>,
    out: &'o mut Vec<u8>,
    /// Messages and map entries around the current one, as prost will count them.
    wire_depth: usize,
}

impl<'p> Reader<'p, '_, '_> {
    /// A message's fields, without tag and length.
    fn message(&mut self, id: MessageId) -> Result<(), Failure> {
        let plan = self.plans.message_plan(id);
        match plan.shape {
            Shape::Plain | Shape::Empty => self.object(plan, ""),
            Shape::Any => self.any(),
            Shape::Duration => self.duration(),
            Shape::FieldMask => self.field_mask(),
            Shape::ListValue => self.list(&plan.fields[0], false),
            Shape::Struct => self.map(&plan.fields[0]),
            Shape::Timestamp => self.timestamp(),
            Shape::Value => self.value(plan),
            Shape::Wrapper => self.single(1, plan.fields[0].kind),
        }
    }

    /// An object whose members are fields, but for the one named `skipped`.
    fn object(&mut self, plan: &'p MessagePlan, skipped: &str) -> Result<(), Failure> {
        self.lexer.open_object()?;
        let mut members = Members::new(plan);
        let mut is_first = true;
        let mut next_index = 0;
        while let Some(name) = self.lexer.next_name(&mut is_first)? {
            if name == skipped && !skipped.is_empty() {
                self.lexer.skip_value()?;
                continue;
            }
            // Senders mostly keep the order of the proto.
            let Some(index) = plan.index_of_name_near(&name, next_index) else {
                return Err(Failure::rule("unknown field").in_field(&failure::shortened(&name)));
            };
            next_index = index + 1;
            let read = self.member(&mut members, index);
            read.map_err(|failure| failure.in_field(&plan.fields[index].json_name))?;
        }
        Ok(())
    }

    fn member(&mut self, members: &mut Members<'p>, index: usize) -> Result<(), Failure> {
        members.enter(index)?;
        let field = &members.plan.fields[index];
        if self.lexer.start()? != Start::Null || takes_null(field, self.plans) {
            members.enter_oneof(index)?;
        }
        self.field_or_null(field)
    }

    fn field_or_null(&mut self, field: &'p FieldPlan) -> Result<(), Failure> {
        if self.lexer.start()? == Start::Null && !takes_null(field, self.plans) {
            return self.lexer.null();
        }
        match field.cardinality {
            Cardinality::Implicit | Cardinality::Explicit => self.single(field.number, field.kind),
            Cardinality::List { packed } => self.list(field, packed),
            Cardinality::Map => self.map(field),
        }
    }

    /// One value with its tag.
    fn single(&mut self, number: u32, kind: Kind) -> Result<(), Failure> {
        match kind {
            Kind::Message(id) => self.nested(number, |reader| reader.message(id)),
            Kind::Group(id) => {
                push_tag(self.out, number, WireType::GroupStart);
                self.deeper(|reader| reader.message(id))?;
                push_tag(self.out, number, WireType::GroupEnd);
                Ok(())
            }
            Kind::Scalar(scalar) => {
                push_tag(self.out, number, scalar.wire_type());
                self.scalar(scalar)
            }
        }
    }

    fn list(&mut self, field: &'p FieldPlan, packed: bool) -> Result<(), Failure> {
        self.lexer.open_list()?;
        match field.kind {
            Kind::Scalar(scalar) if packed => self.packed_list(field.number, scalar),
            kind => self.elements(|reader| reader.single(field.number, kind)).map(|_| ()),
        }
    }

    fn packed_list(&mut self, number: u32, scalar: Scalar) -> Result<(), Failure> {
        let before = self.out.len();
        push_tag(self.out, number, WireType::Bytes);
        let content = open_length(self.out);
        match self.elements(|reader| reader.scalar(scalar))? {
            0 => self.out.truncate(before),
            _ => close_length(self.out, content),
        }
        Ok(())
    }

    /// Reads each element of the list that is open, and counts them.
    fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), Failure>) -> Result<usize, Failure> {
        let mut count = 0;
        while self.lexer.next_element(count == 0)? {
            element(self).map_err(|failure| failure.at_index(count))?;
            count += 1;
        }
        Ok(count)
    }

    /// A field with a tag and the length of what `content` appends.
    fn nested(&mut self, number: u32, content: impl FnOnce(&mut Self) -> Result<(), Failure>) -> Result<(), Failure> {
        push_tag(self.out, number, WireType::Bytes);
        let start = open_length(self.out);
        self.deeper(content)?;
        close_length(self.out, start);
        Ok(())
    }

    /// Wire depth is limited besides JSON depth, since one level of a `google.protobuf.Struct` is three on the wire.
    fn deeper(&mut self, content: impl FnOnce(&mut Self) -> Result<(), Failure>) -> Result<(), Failure> {
        if self.wire_depth == MAX_DEPTH {
            return Err(self.lexer.too_deep());
        }
        self.wire_depth += 1;
        content(self)?;
        self.wire_depth -= 1;
        Ok(())
    }
}

/// Null is a value of `Value` and `NullValue`; of all else it is the same as nothing.
fn takes_null(field: &FieldPlan, plans: &Plans) -> bool {
    let is_one_value = matches!(field.cardinality, Cardinality::Implicit | Cardinality::Explicit);
    is_one_value
        && match field.kind {
            Kind::Scalar(scalar) => scalar == Scalar::Null,
            Kind::Message(id) | Kind::Group(id) => plans.message_plan(id).shape == Shape::Value,
        }
}

/// Which members of an object were there already.
struct Members<'p> {
    plan: &'p MessagePlan,
    first_64: u64,
    others: Vec<usize>,
    /// Fields that are members of oneofs and have a value.
    oneof_members: Vec<usize>,
}

impl<'p> Members<'p> {
    fn new(plan: &'p MessagePlan) -> Self {
        Self {
            plan,
            first_64: 0,
            others: Vec::new(),
            oneof_members: Vec::new(),
        }
    }

    fn enter(&mut self, index: usize) -> Result<(), Failure> {
        let is_new = match 1_u64.checked_shl(index as u32) {
            Some(bit) => {
                let is_new = self.first_64 & bit == 0;
                self.first_64 |= bit;
                is_new
            }
            None => {
                let is_new = !self.others.contains(&index);
                self.others.push(index);
                is_new
            }
        };
        if is_new {
            Ok(())
        } else {
            Err(Failure::rule("is given twice"))
        }
    }

    fn enter_oneof(&mut self, index: usize) -> Result<(), Failure> {
        let fields = &self.plan.fields;
        let Some(oneof) = fields[index].oneof else {
            return Ok(());
        };
        if let Some(&other) = self
            .oneof_members
            .iter()
            .find(|&&member| fields[member].oneof == Some(oneof))
        {
            let name = &self.plan.oneofs[oneof];
            let other = &fields[other].json_name;
            return Err(Failure::rule(format!(
                "only one field of `{name}` may be set, and `{other}` is already"
            )));
        }
        self.oneof_members.push(index);
        Ok(())
    }
}
