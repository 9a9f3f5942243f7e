//! Examples of messages: what the contract gives for a field, or what its type and name suggest.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::options::Options;

pub(super) const ID: &str = "01a209a8-369a-75a2-a99f-4c465a3b5b9d";
pub(super) const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(super) const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TIME: &str = "2026-11-23T18:25:48.639465Z";
/// Messages in messages, this deep: some contain themselves.
const MAX_DEPTH: usize = 5;

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Has what must be there, and what the contract has an example for.
    Request,
    /// Has everything.
    Answer,
}

pub(super) struct Examples<'c> {
    pub(super) options: &'c Options,
}

impl Examples<'_> {
    pub(super) fn message(&self, message: &MessageDescriptor, side: Side) -> Value {
        self.object(message, side, 0)
    }

    /// Nothing when the field has no place on this side.
    pub(super) fn field(&self, field: &FieldDescriptor, side: Side) -> Option<Value> {
        self.field_at(field, side, 0)
    }

    fn object(&self, message: &MessageDescriptor, side: Side, depth: usize) -> Value {
        if let Some(example) = well_known(message.full_name()) {
            return example;
        }
        let mut object = Map::new();
        let mut oneofs_seen = Vec::new();
        for field in message.fields() {
            if let Some(oneof) = field.containing_oneof() {
                if oneofs_seen.contains(&oneof.full_name().to_owned()) {
                    continue;
                }
                oneofs_seen.push(oneof.full_name().to_owned());
            }
            if let Some(example) = self.field_at(&field, side, depth) {
                object.insert(field.json_name().to_owned(), example);
            }
        }
        Value::Object(object)
    }

    fn field_at(&self, field: &FieldDescriptor, side: Side, depth: usize) -> Option<Value> {
        let behavior = self.options.behavior(field);
        let given = self.options.example(field);
        let is_wanted = match side {
            Side::Request => !behavior.is_output_only && (behavior.is_required || given.is_some()),
            Side::Answer => !behavior.is_input_only,
        };
        if !is_wanted || depth >= MAX_DEPTH {
            return None;
        }
        if let Some(given) = given {
            return Some(read(field, given));
        }
        if field.is_map() {
            return Some(json!({}));
        }
        let example = self.kind(field, side, depth)?;
        Some(if field.is_list() { json!([example]) } else { example })
    }

    fn kind(&self, field: &FieldDescriptor, side: Side, depth: usize) -> Option<Value> {
        Some(match field.kind() {
            Kind::Double | Kind::Float => json!(0.5),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32 => json!(1),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => json!("1"),
            Kind::Bool => json!(false),
            Kind::String => json!(text(field.name())),
            Kind::Bytes => json!("AQID"),
            Kind::Message(message) if depth + 1 < MAX_DEPTH => self.object(&message, side, depth + 1),
            Kind::Message(_) => return None,
            Kind::Enum(descriptor) => {
                let mut values = descriptor.values();
                let said = values
                    .find(|value| value.number() != 0)
                    .unwrap_or(descriptor.default_value());
                json!(said.name())
            }
        })
    }
}

fn text(name: &str) -> &'static str {
    match name {
        "id" => ID,
        "etag" => "42",
        name if name.ends_with("_id") || name.ends_with("_ids") => ID,
        _ => "",
    }
}

/// The text that the contract gives, in the form that the field has in JSON.
fn read(field: &FieldDescriptor, given: String) -> Value {
    let is_text = match field.kind() {
        Kind::String | Kind::Bytes | Kind::Enum(_) => true,
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => true,
        Kind::Message(message) => well_known(message.full_name()).is_some_and(|example| example.is_string()),
        Kind::Double | Kind::Float | Kind::Bool => false,
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32 => false,
    };
    if is_text && !field.is_list() && !field.is_map() {
        return Value::String(given);
    }
    serde_json::from_str(&given).unwrap_or(Value::String(given))
}

fn well_known(full_name: &str) -> Option<Value> {
    let example = match full_name.strip_prefix("google.protobuf.")? {
        "Timestamp" => json!(TIME),
        "Duration" => json!("1.5s"),
        "FieldMask" => json!(""),
        "Any" => json!({"@type": "type.googleapis.com/google.protobuf.Empty", "value": {}}),
        "ListValue" => json!([]),
        "Value" => json!(null),
        "DoubleValue" | "FloatValue" => json!(0.5),
        "Int64Value" | "UInt64Value" => json!("1"),
        "Int32Value" | "UInt32Value" => json!(1),
        "BoolValue" => json!(false),
        "StringValue" | "BytesValue" => json!(""),
        _ => json!({}),
    };
    Some(example)
}

#[cfg(test)]
mod tests {
    use crate::contract::Contract;
    use crate::endpoint::Input;
    use crate::openapi;
    use serde_json::Value;
    use transcode::{Body, ResponseBody};

    fn contract() -> Contract {
        Contract::compile(bookmesh_proto::FILE_DESCRIPTOR_SET).unwrap()
    }

    fn example(document: &Value, path: &str, method: &str, pointer: &str) -> Vec<u8> {
        let operation = &document["paths"][path][method.to_lowercase()];
        let example = operation
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{method} {path} has no {pointer}"));
        serde_json::to_vec(example).unwrap()
    }

    #[test]
    fn every_request_can_be_sent_as_its_example_shows_it() {
        let contract = contract();
        let document = openapi::document(&contract);
        let mut sent = 0;

        for (route, endpoint) in contract.routes.all().iter().zip(&contract.endpoints) {
            if endpoint.input != Input::Json || route.body == Body::None {
                continue;
            }
            let path = openapi::path(&route.template);
            let pointer = "/requestBody/content/application~1json/example";
            let json = example(&document, &path, &route.http_method, pointer);
            let mut wire = Vec::new();
            let read = route.read_body(&contract.plans, &json, &mut wire);
            assert_eq!(read, Ok(()), "{path}: {}", String::from_utf8_lossy(&json));
            sent += 1;
        }

        assert!(sent >= 5, "{sent}");
    }

    #[test]
    fn every_answer_is_one_of_its_message() {
        let contract = contract();
        let document = openapi::document(&contract);
        let mut answered = 0;

        for (route, endpoint) in contract.routes.all().iter().zip(&contract.endpoints) {
            let status = match endpoint.success {
                crate::endpoint::Success::Ok => "200",
                crate::endpoint::Success::Created(_) => "201",
                crate::endpoint::Success::Accepted(_) => "202",
                crate::endpoint::Success::NoContent => continue,
            };
            let media = if route.rpc.is_server_streaming() {
                "text~1event-stream"
            } else {
                "application~1json"
            };
            assert_eq!(route.response_body, ResponseBody::Whole);
            let path = openapi::path(&route.template);
            let pointer = format!("/responses/{status}/content/{media}/example");
            let json = example(&document, &path, &route.http_method, &pointer);
            let message = contract.plans.message(route.rpc.output().full_name()).unwrap();
            let read = contract.plans.read_json(message, &json, &mut Vec::new());
            assert_eq!(read, Ok(()), "{path}: {}", String::from_utf8_lossy(&json));
            answered += 1;
        }

        assert!(answered >= 10, "{answered}");
    }
}
