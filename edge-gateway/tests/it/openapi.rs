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

#[tokio::test]
async fn every_problem_of_an_operation_is_there_with_its_reasons() {
    let app = App::start().await;

    let document: Value = app.get("/openapi.json").send().await.unwrap().json().await.unwrap();

    let problem = |method: &str, path: &str, status: &str| {
        let reference = document["paths"][path][method]["responses"][status]["$ref"].clone();
        let pointer = reference
            .as_str()
            .unwrap_or_default()
            .trim_start_matches('#')
            .to_owned();
        document.pointer(&pointer).cloned().unwrap_or_default()
    };
    let reasons = |method: &str, path: &str, status: &str| {
        let content = problem(method, path, status)["content"]["application/problem+json"].clone();
        let names = content["examples"].as_object().cloned().unwrap_or_default();
        names.keys().cloned().collect::<Vec<_>>()
    };
    assert!(reasons("post", "/v1/books", "400").contains(&"SHELF_FULL".to_owned()));
    assert!(!reasons("get", "/v1/books", "400").contains(&"SHELF_FULL".to_owned()));
    assert!(reasons("get", "/v1/books/{id}", "401").contains(&"TOKEN_EXPIRED".to_owned()));
    assert!(reasons("get", "/v1/books", "401").is_empty());
    assert_eq!(
        reasons("get", "/v1/books/{id}", "403"),
        ["INSUFFICIENT_SCOPE", "SCOPE_MISSING"]
    );
    assert_eq!(reasons("post", "/v1/books", "413"), ["BODY_TOO_LARGE"]);
    assert_eq!(reasons("patch", "/v1/books/{id}", "412"), ["ETAG_MISMATCH"]);
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|_| path.starts_with("/v1/")) {
            for status in ["429", "503"] {
                let headers = problem(method, path, status)["headers"].clone();
                assert!(headers["Retry-After"].is_object(), "{method} {path} {status}");
                assert!(headers["x-request-id"].is_object(), "{method} {path} {status}");
            }
        }
    }
    let example = &document["components"]["examples"]["SHELF_FULL"]["value"];
    assert_eq!(example["type"], "/docs#problem-SHELF_FULL");
    assert_eq!(
        (&example["status"], &example["code"]),
        (&json!(400), &json!("FAILED_PRECONDITION"))
    );
}

#[tokio::test]
async fn bodies_leave_out_what_the_path_has_and_changes_require_nothing() {
    let app = App::start().await;

    let document: Value = app.get("/openapi.json").send().await.unwrap().json().await.unwrap();

    let body = |method: &str, path: &str| {
        let content = document["paths"][path][method]["requestBody"]["content"]["application/json"].clone();
        let pointer = content["schema"]["$ref"].as_str().unwrap_or_default().replace('#', "");
        (
            document.pointer(&pointer).cloned().unwrap_or_default(),
            content["example"].clone(),
        )
    };
    let (lend, _) = body("post", "/v1/books/{id}:lend");
    assert_eq!(lend["properties"], json!({}));
    let (change, example) = body("patch", "/v1/books/{id}");
    assert_eq!(change["required"], json!([]));
    let needs_body = |path: &str| document["paths"][path]["post"]["requestBody"]["required"].clone();
    assert_eq!(needs_body("/v1/books"), true, "a book has a title");
    assert_eq!(needs_body("/v1/books/{id}:lend"), false);
    assert_eq!(needs_body("/v1/scans"), false, "nothing is an empty file");
    assert_eq!(example, json!({"title": "Dune"}));
    assert_eq!(document["info"]["title"], "The <Library>");
    assert_eq!(document["info"]["license"], json!({"name": "MIT", "identifier": "MIT"}));
}
