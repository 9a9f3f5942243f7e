//! One operation: what it takes and what it answers.

use prost_reflect::{FieldDescriptor, Kind};
use serde_json::{Map, Value, json};
use transcode::{Body, ResponseBody, Route};

use super::comments::Comments;
use super::parameters;
use super::schema::Schemas;
use crate::contract::Contract;
use crate::endpoint::{Endpoint, Input, Output, Success};
use crate::policy::Access;

pub(super) fn describe(
    contract: &Contract,
    route: &Route,
    endpoint: &Endpoint,
    comments: &Comments,
    schemas: &mut Schemas<'_>,
) -> Value {
    let service = route.rpc.parent_service();
    let comment = comments.of_descriptor(&service.parent_file(), route.rpc.path());
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
        "parameters": parameters::describe(route, endpoint, schemas),
        "responses": responses(route, endpoint, schemas),
        "security": security(endpoint),
    });
    if let Some(body) = request_body(route, endpoint, schemas) {
        operation["requestBody"] = body;
    }
    let options = route.rpc.options();
    if options
        .get_field_by_name("deprecated")
        .is_some_and(|value| value.as_bool() == Some(true))
    {
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
        Access::User { scopes } => json!([{"bearer": scopes}]),
    }
}

fn request_body(route: &Route, endpoint: &Endpoint, schemas: &mut Schemas<'_>) -> Option<Value> {
    if matches!(endpoint.input, Input::Raw(_) | Input::Upload(_)) {
        let file = json!({"type": "string", "format": "binary"});
        let mut content = json!({"*/*": {"schema": file}});
        if matches!(endpoint.input, Input::Upload(_)) {
            let form = json!({"type": "object", "required": ["file"], "properties": {"file": file}});
            content["multipart/form-data"] = json!({"schema": form});
        }
        return Some(json!({"required": true, "content": content}));
    }
    let message = route.rpc.input();
    let schema = match &route.body {
        Body::None => return None,
        Body::Whole => schemas.message(&message),
        Body::Field { number, .. } => value_schema(&message.get_field(*number)?, schemas),
    };
    Some(json!({"required": true, "content": {"application/json": {"schema": schema}}}))
}

fn responses(route: &Route, endpoint: &Endpoint, schemas: &mut Schemas<'_>) -> Value {
    let (status, description) = match endpoint.success {
        Success::Ok => ("200", "The answer"),
        Success::NoContent => ("204", "Done"),
        Success::Created(_) => ("201", "It was created"),
        Success::Accepted(_) => ("202", "The work has begun"),
    };
    let mut success = json!({"description": description});
    if status != "204" {
        success["content"] = content(route, endpoint, schemas);
    }
    let headers = headers(endpoint);
    if !headers.is_empty() {
        success["headers"] = Value::Object(headers);
    }
    let problem = json!({"$ref": "#/components/responses/Problem"});
    let mut responses = json!({status: success, "4XX": problem, "5XX": problem});
    if endpoint.response_etag.is_some() && route.http_method == "GET" {
        responses["304"] = json!({"description": "It has not changed"});
    }
    responses
}

fn content(route: &Route, endpoint: &Endpoint, schemas: &mut Schemas<'_>) -> Value {
    let schema = match (endpoint.output, &route.response_body) {
        (Output::Raw | Output::RawStream, _) => {
            return json!({"*/*": {"schema": {"type": "string", "format": "binary"}}});
        }
        (_, ResponseBody::Whole) => schemas.message(&route.rpc.output()),
        (_, ResponseBody::Field { number, .. }) => {
            let field = route.rpc.output().get_field(*number);
            field.map_or_else(|| json!({}), |field| value_schema(&field, schemas))
        }
    };
    match endpoint.output {
        Output::JsonStream => json!({
            "text/event-stream": {"schema": schema},
            "application/x-ndjson": {"schema": schema},
        }),
        Output::Json | Output::Raw | Output::RawStream => json!({"application/json": {"schema": schema}}),
    }
}

/// The schema of a field that is a body: what the field says of itself there has no place here.
fn value_schema(field: &FieldDescriptor, schemas: &mut Schemas<'_>) -> Value {
    match field.kind() {
        Kind::Message(message) if !field.is_list() && !field.is_map() => schemas.message(&message),
        _ => schemas.field(field),
    }
}

fn headers(endpoint: &Endpoint) -> Map<String, Value> {
    let text = |description: &str| json!({"description": description, "schema": {"type": "string"}});
    let mut headers = Map::new();
    if matches!(endpoint.success, Success::Created(Some(_)) | Success::Accepted(Some(_))) {
        headers.insert("Location".to_owned(), text("Where it is."));
    }
    if endpoint.response_etag.is_some() {
        headers.insert("ETag".to_owned(), text("Changes with every change."));
    }
    if endpoint.next_page_token.is_some() {
        headers.insert("Link".to_owned(), text("The next page, as rel=\"next\"."));
    }
    headers
}
