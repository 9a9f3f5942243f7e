//! Schemas of messages and enums, in ProtoJSON.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::comments::Comments;
use super::options::Options;
use crate::policy;

/// Collects the schemas of everything that operations mention.
pub(super) struct Schemas<'c> {
    comments: &'c Comments,
    options: &'c Options,
    /// By full name; the value is filled in after the name is there, so that messages may contain themselves.
    schemas: BTreeMap<String, Value>,
}

/// How a body differs from its message.
pub(super) struct BodyShape {
    /// JSON names of the members that the path has already.
    pub(super) captured: Vec<String>,
    /// Whether what is left out stays as it is.
    pub(super) is_partial: bool,
}

impl BodyShape {
    fn is_whole(&self) -> bool {
        self.captured.is_empty() && !self.is_partial
    }
}

impl<'c> Schemas<'c> {
    pub(super) fn new(options: &'c Options, comments: &'c Comments) -> Self {
        Self {
            comments,
            options,
            schemas: BTreeMap::new(),
        }
    }

    /// All schemas by the names that references have.
    pub(super) fn finish(self) -> Map<String, Value> {
        self.schemas
            .into_iter()
            .map(|(full_name, schema)| (component(&full_name), schema))
            .collect()
    }

    /// The schema of a message: a reference, or the form of its own that it has in JSON.
    pub(super) fn message(&mut self, message: &MessageDescriptor) -> Value {
        if let Some(schema) = well_known(message.full_name()) {
            return schema;
        }
        let full_name = message.full_name().to_owned();
        if !self.schemas.contains_key(&full_name) {
            self.schemas.insert(full_name.clone(), Value::Null);
            let schema = self.object(message);
            self.schemas.insert(full_name.clone(), schema);
        }
        reference(&full_name)
    }

    /// The schema of a message as the body of one operation, under a name of its own.
    pub(super) fn body(&mut self, message: &MessageDescriptor, body: &BodyShape) -> Value {
        if body.is_whole() || well_known(message.full_name()).is_some() {
            return self.message(message);
        }
        let mut schema = self.object(message);
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.retain(|name, _| !body.captured.contains(name));
        }
        if let Some(Value::Array(required)) = schema.get_mut("required") {
            required.retain(|name| !body.is_partial && !body.captured.iter().any(|captured| name == captured));
        }
        let full_name = format!(
            "{}{}",
            message.full_name(),
            if body.is_partial { "Change" } else { "Body" }
        );
        self.schemas.insert(full_name.clone(), schema);
        reference(&full_name)
    }

    /// The schema of a field with its comment.
    pub(super) fn field(&mut self, field: &FieldDescriptor) -> Value {
        let mut schema = self.without_comment(field);
        let comment = self
            .comments
            .of_descriptor(&field.parent_message().parent_file(), field.path());
        if !comment.is_empty() {
            schema["description"] = json!(comment);
        }
        let behavior = self.options.behavior(field);
        if behavior.is_output_only {
            schema["readOnly"] = json!(true);
        }
        if behavior.is_input_only {
            schema["writeOnly"] = json!(true);
        }
        if policy::is_deprecated(&field.options()) {
            schema["deprecated"] = json!(true);
        }
        schema
    }

    fn object(&mut self, message: &MessageDescriptor) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in message.fields() {
            properties.insert(field.json_name().to_owned(), self.field(&field));
            if self.options.behavior(&field).is_required {
                required.push(field.json_name().to_owned());
            }
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        let comment = self.comments.of_descriptor(&message.parent_file(), message.path());
        if !comment.is_empty() {
            schema["description"] = json!(comment);
        }
        schema
    }

    fn without_comment(&mut self, field: &FieldDescriptor) -> Value {
        if field.is_map() {
            let Kind::Message(entry) = field.kind() else {
                return json!({"type": "object"});
            };
            let value = self.kind(&entry.map_entry_value_field().kind());
            return json!({"type": "object", "additionalProperties": value});
        }
        let kind = self.kind(&field.kind());
        if field.is_list() {
            json!({"type": "array", "items": kind})
        } else {
            kind
        }
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Double => json!({"type": "number", "format": "double"}),
            Kind::Float => json!({"type": "number", "format": "float"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({"type": "integer", "format": "int32"}),
            Kind::Uint32 | Kind::Fixed32 => json!({"type": "integer", "format": "uint32", "minimum": 0}),
            // ProtoJSON: what JavaScript's numbers cannot hold is a string.
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({"type": "string", "format": "int64"}),
            Kind::Uint64 | Kind::Fixed64 => json!({"type": "string", "format": "uint64"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "format": "byte", "contentEncoding": "base64"}),
            Kind::Message(message) => self.message(message),
            Kind::Enum(descriptor) => self.enumeration(descriptor),
        }
    }

    fn enumeration(&mut self, descriptor: &EnumDescriptor) -> Value {
        if descriptor.full_name() == "google.protobuf.NullValue" {
            return json!({"type": "null"});
        }
        let file = descriptor.parent_file();
        let names: Vec<String> = descriptor.values().map(|value| value.name().to_owned()).collect();
        let mut lines = vec![self.comments.of_descriptor(&file, descriptor.path()).to_owned()];
        for value in descriptor.values() {
            let comment = self.comments.of_descriptor(&file, value.path());
            lines.push(format!("* `{}`: {comment}", value.name()));
        }
        let schema = json!({"type": "string", "enum": names, "description": lines.join("\n")});
        self.schemas.insert(descriptor.full_name().to_owned(), schema);
        reference(descriptor.full_name())
    }
}

fn reference(full_name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", component(full_name))})
}

/// `example.books.v1.Book.Kind` is `books.v1.Book.Kind`: unique, and without the part that all have.
fn component(full_name: &str) -> String {
    match full_name.split_once('.') {
        Some((_, name)) if name.contains('.') => name.to_owned(),
        _ => full_name.to_owned(),
    }
}

fn well_known(full_name: &str) -> Option<Value> {
    let schema = match full_name.strip_prefix("google.protobuf.")? {
        "Timestamp" => json!({"type": "string", "format": "date-time"}),
        "Duration" => json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$"}),
        "FieldMask" => json!({"type": "string"}),
        "Empty" | "Struct" => json!({"type": "object"}),
        "Value" => json!({}),
        "ListValue" => json!({"type": "array", "items": {}}),
        "Any" => json!({"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}}),
        "DoubleValue" | "FloatValue" => json!({"type": ["number", "null"]}),
        "Int64Value" => json!({"type": ["string", "null"], "format": "int64"}),
        "UInt64Value" => json!({"type": ["string", "null"], "format": "uint64"}),
        "Int32Value" | "UInt32Value" => json!({"type": ["integer", "null"]}),
        "BoolValue" => json!({"type": ["boolean", "null"]}),
        "StringValue" => json!({"type": ["string", "null"]}),
        "BytesValue" => json!({"type": ["string", "null"], "format": "byte"}),
        _ => return None,
    };
    Some(schema)
}
