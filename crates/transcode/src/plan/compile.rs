//! Turns descriptors into plans.

use std::collections::{BTreeMap, HashMap};

use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, MessageDescriptor};

use super::{Cardinality, EnumId, EnumPlan, FieldPlan, Kind, MessageId, MessagePlan, Plans, Scalar, Shape};
use crate::integer::Integer;
use crate::write::escape::push_text;

const NULL_VALUE: &str = "google.protobuf.NullValue";

pub(super) fn compile(pool: &DescriptorPool) -> Plans {
    let compiler = Compiler {
        messages: numbered(
            pool.all_messages().map(|message| message.full_name().to_owned()),
            MessageId,
        ),
        enums: numbered(
            pool.all_enums().map(|descriptor| descriptor.full_name().to_owned()),
            EnumId,
        ),
    };
    Plans {
        messages: pool.all_messages().map(|message| compiler.message(&message)).collect(),
        enums: pool.all_enums().map(|descriptor| enum_plan(&descriptor)).collect(),
        by_name: compiler.messages,
    }
}

fn numbered<Id>(names: impl Iterator<Item = String>, id: fn(usize) -> Id) -> HashMap<String, Id> {
    names.enumerate().map(|(index, name)| (name, id(index))).collect()
}

struct Compiler {
    messages: HashMap<String, MessageId>,
    enums: HashMap<String, EnumId>,
}

impl Compiler {
    fn message(&self, message: &MessageDescriptor) -> MessagePlan {
        let oneofs: Vec<String> = message
            .oneofs()
            .filter(|oneof| !oneof.is_synthetic())
            .map(|oneof| oneof.name().to_owned())
            .collect();
        // MessageDescriptor::fields() is by ascending number.
        let fields: Vec<FieldPlan> = message.fields().map(|field| self.field(&field, &oneofs)).collect();
        let mut names = BTreeMap::new();
        for (index, field) in message.fields().enumerate() {
            names.entry(field.name().to_owned()).or_insert(index);
        }
        // A JSON name beats another field's proto name.
        for (index, field) in fields.iter().enumerate() {
            names.insert(field.json_name.clone(), index);
        }
        MessagePlan {
            shape: shape(message.full_name()),
            fields,
            oneofs,
            names: names.into_iter().collect(),
        }
    }

    fn field(&self, field: &FieldDescriptor, oneofs: &[String]) -> FieldPlan {
        let kind = self.kind(field);
        let cardinality = cardinality(field);
        let mut json_key = Vec::new();
        push_text(&mut json_key, field.json_name());
        json_key.push(b':');
        let json_default = match default_text(field, cardinality) {
            Some(text) => [json_key.as_slice(), text.as_bytes()].concat(),
            None => Vec::new(),
        };
        let oneof = field
            .containing_oneof()
            .and_then(|oneof| oneofs.iter().position(|name| name == oneof.name()));
        let json_name = field.json_name().to_owned();
        FieldPlan {
            number: field.number(),
            kind,
            cardinality,
            oneof,
            json_name,
            json_key,
            json_default,
        }
    }

    fn kind(&self, field: &FieldDescriptor) -> Kind {
        let scalar = match field.kind() {
            prost_reflect::Kind::Message(found) if field.is_group() => {
                return Kind::Group(self.messages[found.full_name()]);
            }
            prost_reflect::Kind::Message(found) => return Kind::Message(self.messages[found.full_name()]),
            prost_reflect::Kind::Enum(found) if found.full_name() == NULL_VALUE => Scalar::Null,
            prost_reflect::Kind::Enum(found) => Scalar::Enum(self.enums[found.full_name()]),
            prost_reflect::Kind::Double => Scalar::Double,
            prost_reflect::Kind::Float => Scalar::Float,
            prost_reflect::Kind::Bool => Scalar::Bool,
            prost_reflect::Kind::String => Scalar::String,
            prost_reflect::Kind::Bytes => Scalar::Bytes,
            prost_reflect::Kind::Int32 => Scalar::Integer(Integer::Int32),
            prost_reflect::Kind::Int64 => Scalar::Integer(Integer::Int64),
            prost_reflect::Kind::Uint32 => Scalar::Integer(Integer::Uint32),
            prost_reflect::Kind::Uint64 => Scalar::Integer(Integer::Uint64),
            prost_reflect::Kind::Sint32 => Scalar::Integer(Integer::Sint32),
            prost_reflect::Kind::Sint64 => Scalar::Integer(Integer::Sint64),
            prost_reflect::Kind::Fixed32 => Scalar::Integer(Integer::Fixed32),
            prost_reflect::Kind::Fixed64 => Scalar::Integer(Integer::Fixed64),
            prost_reflect::Kind::Sfixed32 => Scalar::Integer(Integer::Sfixed32),
            prost_reflect::Kind::Sfixed64 => Scalar::Integer(Integer::Sfixed64),
        };
        Kind::Scalar(scalar)
    }
}

fn cardinality(field: &FieldDescriptor) -> Cardinality {
    if field.is_map() {
        Cardinality::Map
    } else if field.is_list() {
        Cardinality::List {
            packed: field.is_packed(),
        }
    } else if field.supports_presence() {
        Cardinality::Explicit
    } else {
        Cardinality::Implicit
    }
}

/// What JSON shows for a field without presence that is absent.
fn default_text(field: &FieldDescriptor, cardinality: Cardinality) -> Option<String> {
    let text = match cardinality {
        Cardinality::Explicit => return None,
        Cardinality::List { .. } => "[]".to_owned(),
        Cardinality::Map => "{}".to_owned(),
        Cardinality::Implicit => match field.kind() {
            prost_reflect::Kind::Double | prost_reflect::Kind::Float => "0.0".to_owned(),
            prost_reflect::Kind::Bool => "false".to_owned(),
            prost_reflect::Kind::String | prost_reflect::Kind::Bytes => "\"\"".to_owned(),
            prost_reflect::Kind::Int64
            | prost_reflect::Kind::Uint64
            | prost_reflect::Kind::Sint64
            | prost_reflect::Kind::Fixed64
            | prost_reflect::Kind::Sfixed64 => "\"0\"".to_owned(),
            prost_reflect::Kind::Enum(found) if found.full_name() == NULL_VALUE => "null".to_owned(),
            prost_reflect::Kind::Enum(found) => quoted_name(&found, found.default_value().number()),
            _ => "0".to_owned(),
        },
    };
    Some(text)
}

fn shape(full_name: &str) -> Shape {
    match full_name {
        "google.protobuf.Any" => Shape::Any,
        "google.protobuf.Duration" => Shape::Duration,
        "google.protobuf.Empty" => Shape::Empty,
        "google.protobuf.FieldMask" => Shape::FieldMask,
        "google.protobuf.ListValue" => Shape::ListValue,
        "google.protobuf.Struct" => Shape::Struct,
        "google.protobuf.Timestamp" => Shape::Timestamp,
        "google.protobuf.Value" => Shape::Value,
        "google.protobuf.DoubleValue"
        | "google.protobuf.FloatValue"
        | "google.protobuf.Int64Value"
        | "google.protobuf.UInt64Value"
        | "google.protobuf.Int32Value"
        | "google.protobuf.UInt32Value"
        | "google.protobuf.BoolValue"
        | "google.protobuf.StringValue"
        | "google.protobuf.BytesValue" => Shape::Wrapper,
        _ => Shape::Plain,
    }
}

fn enum_plan(descriptor: &EnumDescriptor) -> EnumPlan {
    let mut quoted_names = BTreeMap::new();
    let mut numbers = BTreeMap::new();
    for value in descriptor.values() {
        quoted_names.insert(value.number(), quoted_name(descriptor, value.number()));
        numbers.insert(value.name().to_owned(), value.number());
    }
    EnumPlan {
        quoted_names: quoted_names.into_iter().collect(),
        numbers: numbers.into_iter().collect(),
        default: descriptor.default_value().number(),
    }
}

/// The name of a declared number; of several, the one that prost-reflect prints.
fn quoted_name(descriptor: &EnumDescriptor, number: i32) -> String {
    let value = descriptor
        .get_value(number)
        .expect("the number was taken from this enum");
    format!("\"{}\"", value.name())
}
