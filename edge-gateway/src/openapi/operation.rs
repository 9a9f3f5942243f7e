//! One operation: what it takes and what it answers.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Value, json};
use transcode::{Body, ResponseBody, Route};

use super::examples::Side;
use super::schema::BodyShape;
use super::{Parts, headers, parameters};
use crate::contract::Contract;
use crate::endpoint::{Endpoint, Input, Output, Success};
use crate::policy::Access;

pub(super) fn describe(contract: &Contract, route: &Route, endpoint: &Endpoint, parts: &mut Parts<'_>) -> Value {
    let service = route.rpc.parent_service();
    let comment = parts.comments.of_descriptor(&service.parent_file(), route.rpc.path());
    let summary = comment
        .split_inclusive(". ")
        .next()
        .unwrap_or_default()
        .trim()
        .trim_end_matches('.');
    let mut operation = json!({
        "operationId": operation_id(contract, route),
        "tags": [service.name()],
        "summary": summary,
        "description": comment,
        "parameters": parameters::describe(route, endpoint, parts),
        "responses": responses(route, endpoint, parts),
        "security": security(endpoint),
    });
    if let Some(body) = request_body(route, endpoint, parts) {
        operation["requestBody"] = body;
    }
    if endpoint.policy.lifecycle.is_some() {
        operation["deprecated"] = json!(true);
    }
    operation
}

/// `Service_Method`; further bindings of the same RPC are numbered from 2.
fn operation_id(contract: &Contract, route: &Route) -> String {
    let bindings: Vec<&Route> = contract
        .routes
        .all()
        .iter()
        .filter(|other| other.rpc.full_name() == route.rpc.full_name())
        .collect();
    let place = bindings
        .iter()
        .position(|other| std::ptr::eq(*other, route))
        .unwrap_or_default();
    let name = format!("{}_{}", route.rpc.parent_service().name(), route.rpc.name());
    if place == 0 {
        name
    } else {
        format!("{name}_{}", place + 1)
    }
}

fn security(endpoint: &Endpoint) -> Value {
    match &endpoint.policy.access {
        Access::Public => json!([]),
        Access::User { scopes, .. } => json!([{"bearer": scopes}]),
    }
}

fn request_body(route: &Route, endpoint: &Endpoint, parts: &mut Parts<'_>) -> Option<Value> {
    if matches!(endpoint.input, Input::Raw(_) | Input::Upload(_)) {
        let file = json!({"type": "string", "format": "binary"});
        let mut content = json!({"*/*": {"schema": file}});
        if matches!(endpoint.input, Input::Upload(_)) {
            // One part, whatever its name is.
            let form = json!({
                "type": "object",
                "properties": {"file": file},
                "additionalProperties": file,
                "minProperties": 1,
                "maxProperties": 1,
            });
            content["multipart/form-data"] = json!({"schema": form});
        }
        // Nothing is an empty file.
        return Some(json!({"required": false, "content": content}));
    }
    let message = route.rpc.input();
    let shape = BodyShape {
        captured: captured(route),
        is_partial: endpoint.mask.is_some(),
    };
    let (schema, mut example) = match &route.body {
        Body::None => return None,
        Body::Whole => {
            let schema = parts.schemas.body(&message, &shape);
            (schema, parts.examples.message(&message, Side::Request))
        }
        Body::Field { number, .. } => {
            let field = message.get_field(*number)?;
            match field.kind() {
                Kind::Message(inner) if shape.is_partial && !field.is_list() && !field.is_map() => {
                    let schema = parts.schemas.body(&inner, &shape);
                    (schema, parts.examples.message(&inner, Side::Request))
                }
                _ => value(&field, Side::Request, parts),
            }
        }
    };
    if let Some(members) = example.as_object_mut() {
        members.retain(|name, _| !shape.captured.contains(name));
    }
    let content = json!({"application/json": {"schema": schema, "example": example}});
    let is_required = shape.is_partial || has_required_member(route, &shape, parts);
    Some(json!({"required": is_required, "content": content}))
}

/// Without a body, everything in it has its default.
fn has_required_member(route: &Route, shape: &BodyShape, parts: &Parts<'_>) -> bool {
    let Some((message, _)) = body_message(route) else {
        return true;
    };
    message.fields().any(|field| {
        let is_captured = shape.captured.iter().any(|name| name == field.json_name());
        !is_captured && parts.options.behavior(&field).is_required
    })
}

/// The message that a JSON body is, and what stands before its fields in the request.
fn body_message(route: &Route) -> Option<(MessageDescriptor, String)> {
    match &route.body {
        Body::None => None,
        Body::Whole => Some((route.rpc.input(), String::new())),
        Body::Field { number, name } => {
            let kind = route.rpc.input().get_field(*number)?.kind();
            Some((kind.as_message()?.clone(), format!("{name}.")))
        }
    }
}

/// The JSON names, in the body, of what the path has already.
fn captured(route: &Route) -> Vec<String> {
    let Some((message, prefix)) = body_message(route) else {
        return Vec::new();
    };
    let variables = route.template.variables().iter();
    let names = variables.filter_map(|variable| variable.field_path.strip_prefix(prefix.as_str()));
    names
        .filter_map(|name| {
            message
                .get_field_by_name(name)
                .map(|field| field.json_name().to_owned())
        })
        .collect()
}

fn responses(route: &Route, endpoint: &Endpoint, parts: &mut Parts<'_>) -> Value {
    let policy = parts.options.policy(&route.rpc);
    let (status, description) = match endpoint.success {
        Success::Ok => ("200", "The answer"),
        Success::NoContent => ("204", "Done"),
        Success::Created(_) => ("201", "It was created"),
        Success::Accepted(_) => ("202", "The work has begun"),
    };
    let headers = headers::of_success(endpoint);
    let mut success = json!({"description": description, "headers": headers});
    if status != "204" {
        success["content"] = content(route, endpoint, parts);
    }
    let mut responses = parts.problems.of_operation(route, endpoint, &policy.reasons);
    responses.insert(status.to_owned(), success);
    if endpoint.response_etag.is_some() && route.http_method == "GET" {
        let unchanged = json!({"description": "It has not changed", "headers": headers::of_unchanged()});
        responses.insert("304".to_owned(), unchanged);
    }
    Value::Object(responses)
}

fn content(route: &Route, endpoint: &Endpoint, parts: &mut Parts<'_>) -> Value {
    let (schema, example) = match (endpoint.output, &route.response_body) {
        (Output::Raw | Output::RawStream, _) => {
            return json!({"*/*": {"schema": {"type": "string", "format": "binary"}}});
        }
        (_, ResponseBody::Whole) => {
            let message = route.rpc.output();
            let schema = parts.schemas.message(&message);
            (schema, parts.examples.message(&message, Side::Answer))
        }
        (_, ResponseBody::Field { number, .. }) => match route.rpc.output().get_field(*number) {
            Some(field) => value(&field, Side::Answer, parts),
            None => (json!({}), json!({})),
        },
    };
    let content = json!({"schema": schema, "example": example});
    match endpoint.output {
        Output::JsonStream => json!({"text/event-stream": content, "application/x-ndjson": content}),
        Output::Json | Output::Raw | Output::RawStream => json!({"application/json": content}),
    }
}

/// Schema and example of a field that is a body: what the field says of itself there has no place here.
fn value(field: &FieldDescriptor, side: Side, parts: &mut Parts<'_>) -> (Value, Value) {
    match field.kind() {
        Kind::Message(message) if !field.is_list() && !field.is_map() => {
            (parts.schemas.message(&message), parts.examples.message(&message, side))
        }
        _ => {
            let example = parts.examples.field(field, side).unwrap_or(Value::Null);
            (parts.schemas.field(field), example)
        }
    }
}
