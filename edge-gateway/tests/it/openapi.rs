//! The OpenAPI document: complete, true, and kept in the repository.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::app::App;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

#[test]
#[expect(clippy::disallowed_methods, reason = "a test has no config")]
fn the_committed_document_is_that_of_the_contract() {
    let current = edge_gateway::contract_document().unwrap();
    let committed = fs::read(Path::new(COMMITTED)).unwrap_or_default();
    let missing = operations(&committed)
        .into_iter()
        .find(|operation| !operations(&current).contains(operation));
    assert_eq!(missing, None, "an operation that callers rely on is gone");

    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(COMMITTED, &current).unwrap();
        return;
    }
    assert!(
        current == committed,
        "docs/openapi.json is out of date: run this test with UPDATE_OPENAPI=1"
    );
}

fn operations(document: &[u8]) -> Vec<String> {
    let document: Value = serde_json::from_slice(document).unwrap_or_default();
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    let of_path = |(path, methods): (&String, &Value)| {
        let methods: Vec<String> = methods.as_object().unwrap().keys().cloned().collect();
        methods
            .into_iter()
            .map(|method| format!("{method} {path}"))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[tokio::test]
async fn operations_say_what_really_happens() {
    let app = App::start().await;

    let document: Value = app.get("/openapi.json").send().await.unwrap().json().await.unwrap();

    assert_eq!(document["openapi"], "3.1.0");
    let operation = |method: &str, path: &str| document["paths"][path][method].clone();
    let create = operation("post", "/v1/books");
    assert_eq!(create["operationId"], "LibraryService_CreateBook");
    assert_eq!(create["summary"], "Adds a book");
    assert!(create["responses"]["201"]["headers"]["Location"].is_object());
    assert_eq!(create["security"], json!([{"bearer": []}]));
    assert_eq!(
        create["requestBody"]["content"]["application/json"]["schema"],
        json!({"$ref": "#/components/schemas/v1.Book"})
    );
    assert!(operation("post", "/v1/reports")["responses"]["202"].is_object());
    assert!(operation("delete", "/v1/books/{id}")["responses"]["204"]["content"].is_null());
    let watch = operation("get", "/v1/books/{id}:watch");
    assert!(watch["responses"]["200"]["content"]["text/event-stream"].is_object());
    let upload = operation("post", "/v1/scans");
    assert!(upload["requestBody"]["content"]["multipart/form-data"].is_object());
    assert_eq!(
        operation("get", "/v1/fail/{code}")["operationId"],
        "LibraryService_Fail"
    );
    assert_eq!(operation("post", "/v1/fail")["operationId"], "LibraryService_Fail_2");
}

#[tokio::test]
async fn parameters_and_schemas_come_with_types_and_comments() {
    let app = App::start().await;

    let document: Value = app.get("/openapi.json").send().await.unwrap().json().await.unwrap();

    let parameters = document["paths"]["/v1/books"]["get"]["parameters"]
        .as_array()
        .unwrap()
        .clone();
    let named = |name: &str| {
        parameters
            .iter()
            .find(|parameter| parameter["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(
        named("pageSize")["schema"],
        json!({"type": "integer", "format": "int32"})
    );
    assert_eq!(named("tags")["schema"]["type"], "array");
    let book = &document["components"]["schemas"]["v1.Book"];
    assert_eq!(book["required"], json!(["title"]));
    assert_eq!(book["properties"]["id"]["readOnly"], true);
    assert_eq!(book["properties"]["id"]["description"], "The id.");
    assert_eq!(book["properties"]["pageCount"]["format"], "int64");
    assert_eq!(book["properties"]["pageCount"]["type"], "string");
}
