//! Parameters of path, query and headers.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Value, json};
use transcode::{Route, Segment, Template, Variable};

use super::examples::Side;
use super::{Parts, headers};
use crate::endpoint::Endpoint;

/// Fields of messages in messages become `outer.inner`, this deep.
const MAX_DEPTH: usize = 4;

pub(super) fn describe(route: &Route, endpoint: &Endpoint, parts: &mut Parts<'_>) -> Vec<Value> {
    let mut parameters = path_parameters(route, parts);
    let mut query = Query {
        route,
        parts,
        parameters: Vec::new(),
    };
    query.push_fields(&route.rpc.input(), "", &[]);
    parameters.append(&mut query.parameters);
    if endpoint.request_etag.is_some() {
        parameters.push(header(
            "If-Match",
            "Do it only while the resource has one of these entity tags.",
        ));
    }
    if endpoint.response_etag.is_some() && route.http_method == "GET" {
        parameters.push(header(
            "If-None-Match",
            "Answer 304 while the resource has one of these entity tags.",
        ));
    }
    parameters.extend(headers::parameter_references());
    if endpoint.request_id.is_some() && route.http_method != "GET" {
        parameters.push(header(
            "Idempotency-Key",
            "Do it once: the same key with the same request gets the same answer for 24 hours. It fills `requestId`.",
        ));
    }
    parameters
}

/// The name of the parameter that fills a wildcard segment.
pub(super) fn path_name(template: &Template, place: usize) -> String {
    let variable = variable_at(template, place);
    match variable {
        Some(variable) if variable.segments.len() == 1 => last_name(&variable.field_path),
        _ => match place.checked_sub(1).map(|before| &template.segments()[before]) {
            Some(Segment::Literal(literal)) => format!("{literal}Id"),
            _ => format!("segment{place}"),
        },
    }
}

fn path_parameters(route: &Route, parts: &mut Parts<'_>) -> Vec<Value> {
    let template = &route.template;
    let is_wildcard = |place: &usize| !matches!(template.segments()[*place], Segment::Literal(_));
    let places = (0..template.segments().len()).filter(is_wildcard);
    let describe = |place| {
        let field = variable_at(template, place).and_then(|variable| field(&route.rpc.input(), &variable.field_path));
        let name = path_name(template, place);
        match &field {
            Some(field) => described("path", &name, field, true, parts),
            None => parameter("path", &name, json!({"type": "string"}), true),
        }
    };
    places.map(describe).collect()
}

fn variable_at(template: &Template, place: usize) -> Option<&Variable> {
    template
        .variables()
        .iter()
        .find(|variable| variable.segments.contains(&place))
}

fn last_name(field_path: &str) -> String {
    let last = field_path.rsplit('.').next().unwrap_or(field_path);
    let mut name = String::new();
    for (index, part) in last.split('_').enumerate() {
        let (first, rest) = part.split_at(part.len().min(1));
        let first = if index == 0 {
            first.to_owned()
        } else {
            first.to_ascii_uppercase()
        };
        name.push_str(&first);
        name.push_str(rest);
    }
    name
}

fn field(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    match path.split_once('.') {
        None => message.get_field_by_name(path),
        Some((first, rest)) => match message.get_field_by_name(first)?.kind() {
            Kind::Message(inner) => field(&inner, rest),
            _ => None,
        },
    }
}

struct Query<'a, 's, 'c> {
    route: &'a Route,
    parts: &'s mut Parts<'c>,
    parameters: Vec<Value>,
}

impl Query<'_, '_, '_> {
    fn push_fields(&mut self, message: &MessageDescriptor, prefix: &str, numbers: &[u32]) {
        for field in message.fields() {
            let numbers = [numbers, &[field.number()]].concat();
            let name = format!("{prefix}{}", field.json_name());
            if self.route.is_query_field(&numbers) {
                self.push_field(&field, &name, &numbers);
            }
        }
    }

    fn push_field(&mut self, field: &FieldDescriptor, name: &str, numbers: &[u32]) {
        let inner = match field.kind() {
            Kind::Message(inner) if !inner.full_name().starts_with("google.protobuf.") => Some(inner),
            _ => None,
        };
        match inner {
            None => {
                let is_required = self.parts.options.behavior(field).is_required;
                let parameter = described("query", name, field, is_required, self.parts);
                self.parameters.push(parameter);
            }
            Some(inner) if !field.is_list() && !field.is_map() && numbers.len() < MAX_DEPTH => {
                self.push_fields(&inner, &format!("{name}."), numbers);
            }
            Some(_) => {}
        }
    }
}

fn described(place: &str, name: &str, field: &FieldDescriptor, is_required: bool, parts: &mut Parts<'_>) -> Value {
    let mut parameter = parameter(place, name, parts.schemas.field(field), is_required);
    let is_telling = is_required || place == "path" || parts.options.example(field).is_some();
    if is_telling && let Some(example) = parts.examples.field(field, Side::Answer) {
        parameter["example"] = example;
    }
    parameter
}

fn parameter(place: &str, name: &str, mut schema: Value, is_required: bool) -> Value {
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let mut parameter = json!({"in": place, "name": name, "schema": schema, "required": is_required});
    if let Some(schema) = parameter["schema"].as_object_mut() {
        // A parameter is only ever sent.
        schema.remove("readOnly");
    }
    if let Some(description) = description {
        parameter["description"] = description;
    }
    parameter
}

fn header(name: &str, description: &str) -> Value {
    json!({"in": "header", "name": name, "description": description, "schema": {"type": "string"}, "required": false})
}
