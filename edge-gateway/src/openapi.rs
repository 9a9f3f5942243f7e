//! The OpenAPI 3.1 document of a contract.

mod collection;
mod comments;
mod examples;
mod headers;
mod operation;
mod options;
mod own_paths;
mod parameters;
mod problems;
mod reasons;
mod schema;

use serde_json::{Map, Value, json};
use transcode::{Segment, Template};

use crate::contract::Contract;
pub(crate) use collection::collection;
use comments::Comments;
use examples::Examples;
use options::Options;
use problems::Problems;
use schema::Schemas;

/// The document of Bookmesh's own contract.
pub fn contract_document() -> anyhow::Result<Vec<u8>> {
    Ok(bytes(&document(&Contract::compile(
        bookmesh_proto::FILE_DESCRIPTOR_SET,
    )?)))
}

/// What operations are described with, and what they leave behind for all.
struct Parts<'c> {
    comments: &'c Comments,
    options: &'c Options,
    examples: Examples<'c>,
    schemas: Schemas<'c>,
    problems: Problems,
}

/// The same contract always gives the same document.
pub(crate) fn document(contract: &Contract) -> Value {
    let comments = Comments::of(&contract.pool);
    let options = Options::of(&contract.pool);
    let mut parts = Parts {
        comments: &comments,
        options: &options,
        examples: Examples { options: &options },
        schemas: Schemas::new(&options, &comments),
        problems: Problems::new(reasons::all(&contract.pool, &options, &comments)),
    };
    let mut paths = own_paths::describe(&mut parts.problems);
    for (route, endpoint) in contract.routes.all().iter().zip(&contract.endpoints) {
        let operation = operation::describe(contract, route, endpoint, &mut parts);
        let path = paths.entry(path(&route.template)).or_insert_with(|| json!({}));
        path[route.http_method.to_ascii_lowercase()] = operation;
    }
    let mut schemas = parts.schemas.finish();
    schemas.insert("Problem".to_owned(), problems::schema());
    let (responses, examples, reasons) = parts.problems.finish();
    let headers = headers::components(&[&json!(paths), &json!(responses)]);
    json!({
        "openapi": "3.1.0",
        "info": info(contract, &options),
        "servers": [{"url": "/"}],
        "tags": tags(contract, &comments),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses,
            "examples": examples,
            "headers": headers,
            "parameters": headers::parameters(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "x-reasons": reasons,
    })
}

pub(crate) fn bytes(document: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).expect("a JSON value is always JSON");
    bytes.push(b'\n');
    bytes
}

fn info(contract: &Contract, options: &Options) -> Value {
    let api = options.api(&contract.pool).unwrap_or_default();
    let title = if api.title.is_empty() {
        title(contract)
    } else {
        api.title
    };
    let mut info = Map::from_iter([
        ("title".to_owned(), json!(title)),
        ("version".to_owned(), json!(version(contract))),
    ]);
    for (name, text) in [("summary", api.summary), ("description", api.description)] {
        if !text.is_empty() {
            info.insert(name.to_owned(), json!(text));
        }
    }
    if !api.license.is_empty() {
        info.insert(
            "license".to_owned(),
            json!({"name": api.license, "identifier": api.license}),
        );
    }
    Value::Object(info)
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
    services.iter().map(tag).chain([own_paths::tag()]).collect()
}
