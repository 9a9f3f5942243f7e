//! A PATCH without an update mask changes what its body has.

use std::collections::HashMap;
use std::fmt;

use prost_reflect::{FieldDescriptor, Kind, Value};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use transcode::{Body, Route, peek};

/// FieldMask has one field: `repeated string paths = 1`.
const PATHS: u32 = 1;
/// OUTPUT_ONLY and IDENTIFIER of google.api.FieldBehavior: a caller who sends back what it got does not mean to set them.
const NOT_SETTABLE: [i32; 2] = [3, 8];

pub(crate) struct MaskRule {
    /// The number of `update_mask` in the request.
    number: u32,
    /// The resource's fields by both spellings, to their path in the mask.
    paths: HashMap<String, String>,
}

impl MaskRule {
    pub(crate) fn of(route: &Route) -> Option<Self> {
        let Body::Field { number, .. } = &route.body else {
            return None;
        };
        let request = route.rpc.input();
        let mask = request.get_field_by_name("update_mask")?;
        let is_mask =
            matches!(mask.kind(), Kind::Message(message) if message.full_name() == "google.protobuf.FieldMask");
        let Kind::Message(resource) = request.get_field(*number)?.kind() else {
            return None;
        };
        if route.http_method != "PATCH" || !is_mask {
            return None;
        }
        let mut paths = HashMap::new();
        for field in resource
            .fields()
            .filter(|field| field.name() != "etag" && is_settable(field))
        {
            paths.insert(field.name().to_owned(), field.name().to_owned());
            paths.insert(field.json_name().to_owned(), field.name().to_owned());
        }
        Some(Self {
            number: mask.number(),
            paths,
        })
    }

    /// Whether these fields of the request have a mask.
    pub(crate) fn is_in(&self, wire: &[u8]) -> bool {
        peek::last_bytes(wire, self.number).is_some()
    }

    /// Appends the mask of what a body has, which is JSON that was read without errors before.
    pub(crate) fn push_derived(&self, body: &[u8], out: &mut Vec<u8>) {
        let Ok(keys) = serde_json::Deserializer::from_slice(body).deserialize_map(KeysOf) else {
            return;
        };
        let paths: Vec<&String> = keys.iter().filter_map(|key| self.paths.get(key)).collect();
        if !paths.is_empty() {
            peek::push_message(out, self.number, |out| {
                for path in paths {
                    peek::push_field(out, PATHS, path.as_bytes());
                }
            });
        }
    }
}

fn is_settable(field: &FieldDescriptor) -> bool {
    let pool = field.parent_message().parent_pool().clone();
    let Some(option) = pool.get_extension_by_name("google.api.field_behavior") else {
        return true;
    };
    let options = field.options();
    match options.get_extension(&option).as_ref() {
        Value::List(behaviors) => !behaviors
            .iter()
            .filter_map(Value::as_enum_number)
            .any(|behavior| NOT_SETTABLE.contains(&behavior)),
        _ => true,
    }
}

/// Reads the keys of an object and skips its values.
struct KeysOf;

impl<'de> Visitor<'de> for KeysOf {
    type Value = Vec<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = map.next_key()? {
            keys.push(key);
            map.next_value::<IgnoredAny>()?;
        }
        Ok(keys)
    }
}
