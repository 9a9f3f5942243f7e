//! Schemas of messages and enums, in ProtoJSON.

use std::collections::BTreeMap;

use prost_reflect::{
    DescriptorPool, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value as Reflected,
};
use serde_json::{Map, Value, json};

use super::comments::Comments;

/// Collects the schemas of everything that operations mention.
pub(super) struct Schemas<'c> {
    comments: &'c Comments,
    behavior: Option<ExtensionDescriptor>,
    /// By full name; the value is filled in after the name is there, so that messages may contain themselves.
    schemas: BTreeMap<String, Value>,
}

/// What google.api.field_behavior says of a field.
#[derive(Default)]
pub(super) struct Behavior {
    pub(super) is_required: bool,
    pub(super) is_output_only: bool,
    pub(super) is_input_only: bool,
}

impl<'c> Schemas<'c> {
    pub(super) fn new(pool: &DescriptorPool, comments: &'c Comments) -> Self {
        let behavior = pool.get_extension_by_name("google.api.field_behavior");
        Self {
            comments,
            behavior,
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

    /// The schema of a field with its comment.
    pub(super) fn field(&mut self, field: &FieldDescriptor) -> Value {
        let mut schema = self.without_comment(field);
        let comment = self
            .comments
            .of_descriptor(&field.parent_message().parent_file(), field.path());
        if !comment.is_empty() {
            schema["description"] = json!(comment);
        }
        let behavior = self.behavior(field);
        if behavior.is_output_only {
            schema["readOnly"] = json!(true);
        }
        if behavior.is_input_only {
            schema["writeOnly"] = json!(true);
        }
        if field
            .options()
            .get_field_by_name("deprecated")
            .is_some_and(|value| value.as_bool() == Some(true))
        {
            schema["deprecated"] = json!(true);
        }
        schema
    }

    pub(super) fn behavior(&self, field: &FieldDescriptor) -> Behavior {
        let Some(option) = &self.behavior else {
            return Behavior::default();
        };
        let options = field.options();
        let values = options.get_extension(option);
        let has = |number| match values.as_ref() {
            Reflected::List(values) => values.iter().any(|value| value.as_enum_number() == Some(number)),
            _ => false,
        };
        Behavior {
            is_required: has(2),
            is_output_only: has(3),
            is_input_only: has(4),
        }
    }

    fn object(&mut self, message: &MessageDescriptor) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in message.fields() {
            properties.insert(field.json_name().to_owned(), self.field(&field));
            if self.behavior(&field).is_required {
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
