//! The OpenAPI 3.1 document of a contract.

mod comments;
mod operation;
mod parameters;
mod schema;

use serde_json::{Map, Value, json};
use transcode::{Segment, Template};

use crate::contract::Contract;
use comments::Comments;
use schema::Schemas;

/// The document of Bookmesh's own contract.
pub fn contract_document() -> anyhow::Result<Vec<u8>> {
    Ok(document(&Contract::compile(bookmesh_proto::FILE_DESCRIPTOR_SET)?))
}

/// The same contract always gives the same bytes.
pub(crate) fn document(contract: &Contract) -> Vec<u8> {
    let comments = Comments::of(&contract.pool);
    let mut schemas = Schemas::new(&contract.pool, &comments);
    let mut paths: Map<String, Value> = Map::new();
    for (route, endpoint) in contract.routes.all().iter().zip(&contract.endpoints) {
        let operation = operation::describe(contract, route, endpoint, &comments, &mut schemas);
        let path = paths.entry(path(&route.template)).or_insert_with(|| json!({}));
        path[route.http_method.to_ascii_lowercase()] = operation;
    }
    let mut components = schemas.finish();
    components.insert("Problem".to_owned(), problem_schema());
    let document = json!({
        "openapi": "3.1.0",
        "info": {"title": title(contract), "version": version(contract)},
        "tags": tags(contract, &comments),
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {"Problem": {
                "description": "What went wrong (RFC 9457)",
                "content": {crate::problem::CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    });
    let mut bytes = serde_json::to_vec_pretty(&document).expect("a JSON value is always JSON");
    bytes.push(b'\n');
    bytes
}

/// Variables have no patterns in OpenAPI: `{name=shelves/*}` is `shelves/{shelvesId}`.
fn path(template: &Template) -> String {
    let mut path = String::new();
    for (place, segment) in template.segments().iter().enumerate() {
        path.push('/');
        match segment {
            Segment::Literal(literal) => path.push_str(literal),
            Segment::One | Segment::Rest => path.push_str(&format!("{{{}}}", parameters::path_name(template, place))),
        }
    }
    if let Some(verb) = template.verb() {
        path.push(':');
        path.push_str(verb);
    }
    path
}

/// The name that all packages begin with.
fn title(contract: &Contract) -> String {
    let package = contract
        .routes
        .all()
        .first()
        .map(|route| route.rpc.parent_service().package_name().to_owned());
    package
        .unwrap_or_default()
        .split('.')
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn version(contract: &Contract) -> String {
    let packages = contract
        .routes
        .all()
        .iter()
        .map(|route| route.rpc.parent_service().package_name().to_owned());
    let versions = packages.filter_map(|package| package.rsplit('.').next().map(str::to_owned));
    versions
        .filter(|version| version.starts_with('v'))
        .max()
        .unwrap_or_else(|| "v1".to_owned())
}

fn tags(contract: &Contract, comments: &Comments) -> Vec<Value> {
    let mut services: Vec<_> = contract
        .routes
        .all()
        .iter()
        .map(|route| route.rpc.parent_service().clone())
        .collect();
    services.dedup_by(|one, other| one.full_name() == other.full_name());
    let tag = |service: &prost_reflect::ServiceDescriptor| json!({"name": service.name(), "description": comments.of_descriptor(&service.parent_file(), service.path())});
    services.iter().map(tag).collect()
}

fn problem_schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "code", "requestId", "traceId"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "description": "Names the kind of problem."},
            "title": text("The kind of problem, for people."),
            "status": {"type": "integer", "format": "int32", "description": "The HTTP status."},
            "detail": text("What went wrong this time, for people."),
            "instance": text("The path that was called."),
            "code": text("The name of the gRPC code, such as NOT_FOUND."),
            "reason": text("A stable name for programs, such as ETAG_MISMATCH."),
            "domain": text("Who gives the reason its meaning."),
            "metadata": {
                "type": "object", "additionalProperties": {"type": "string"}, "description": "More for programs.",
            },
            "errors": {
                "type": "array",
                "description": "What is wrong with each field.",
                "items": {
                    "type": "object",
                    "required": ["field", "description"],
                    "properties": {
                        "field": text("The field, as in `tags[3]`; empty for the body itself."),
                        "description": text("The rule that it breaks."),
                    },
                },
            },
            "requestId": text("Names the request in logs."),
            "traceId": text("Names the trace that the request belongs to."),
        },
    })
}
