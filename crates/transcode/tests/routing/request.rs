//! From path, query and body to the request, and from the answer to its body.

use serde_json::json;
use transcode::{WriteOptions, peek};

use crate::Contract;

#[test]
fn several_segments_keep_escaped_slashes() {
    let contract = Contract::books();
    let path = |path: &str| contract.request("GET", path, "", "").unwrap()["path"].clone();

    assert_eq!(path("/v1/files/a/b%20c/d%2Fe"), "a/b c/d%2Fe");
    assert_eq!(path("/v1/files/a/b:meta"), "a/b");
    assert_eq!(
        contract.request("GET", "/v1/shelves/a/books/b%2Fc", "", "").unwrap()["name"],
        "shelves/a/books/b%2Fc"
    );
    assert_eq!(contract.request("GET", "/v1/books/b%2Fc", "", "").unwrap()["id"], "b/c");
}

#[test]
fn a_broken_escape_names_the_field() {
    let contract = Contract::books();

    let error = contract.request("GET", "/v1/books/%zz", "", "").unwrap_err();

    assert_eq!(error, "id: has a broken percent-escape or is not UTF-8");
}

#[test]
fn the_query_fills_what_is_left() {
    let contract = Contract::books();

    let query = "view_parts=a&viewParts=b+c&place.room=x%26y&rowCount=3&&";
    let request = contract.request("GET", "/v1/books/7", query, "").unwrap();

    assert_eq!(
        request,
        json!({"id": "7", "viewParts": ["a", "b c"], "place": {"room": "x&y"}, "rowCount": 3})
    );
}

#[test]
fn wrong_parameters_are_named_all_at_once() {
    let contract = Contract::books();

    let error = contract
        .request("GET", "/v1/books/7", "nope=1&id=8&rowCount=many&a%zz=1", "")
        .unwrap_err();

    assert!(error.contains("nope: is not a known parameter"), "{error}");
    assert!(
        error.contains("id: is taken from the path, not from the query"),
        "{error}"
    );
    assert!(error.contains("rowCount: "), "{error}");
    assert!(error.contains("a%zz: has a broken percent-escape"), "{error}");
}

#[test]
fn a_body_field_leaves_the_others_to_the_query() {
    let contract = Contract::books();

    let request = contract
        .request(
            "PATCH",
            "/v1/books/7",
            "validateOnly=true",
            r#"{"title": "T", "id": "8"}"#,
        )
        .unwrap();
    assert_eq!(
        request,
        json!({"book": {"id": "7", "title": "T"}, "validateOnly": true})
    );

    let error = contract
        .request("PATCH", "/v1/books/7", "book.title=x", "{}")
        .unwrap_err();
    assert_eq!(error, "book.title: is taken from the body, not from the query");
}

#[test]
fn a_whole_body_leaves_nothing_to_the_query() {
    let contract = Contract::books();

    let error = contract.request("POST", "/v1/books", "title=x", "{}").unwrap_err();

    assert_eq!(error, "title: is taken from the body, not from the query");
}

#[test]
fn a_response_body_is_one_field() {
    let contract = Contract::books();
    let mut full = Vec::new();
    peek::push_field(&mut full, 2, b"Title");
    peek::push_field(&mut full, 3, b"One");
    peek::push_field(&mut full, 3, b"Two");
    peek::push_message(&mut full, 4, |out| peek::push_field(out, 1, b"Attic"));
    let body = |path: &str, wire: &[u8]| {
        let mut out = b"before:".to_vec();
        let route = contract.find("GET", path).route;
        route
            .write_response(&contract.plans, wire, WriteOptions { emit_defaults: true }, &mut out)
            .unwrap();
        String::from_utf8(out).unwrap()
    };

    assert_eq!(body("/v1/books/7/title", &full), r#"before:"Title""#);
    assert_eq!(body("/v1/books/7/authors", &full), r#"before:["One","Two"]"#);
    assert_eq!(body("/v1/books/7/place", &full), r#"before:{"room":"Attic"}"#);
    assert_eq!(body("/v1/books/7/title", &[]), r#"before:"""#);
    assert_eq!(body("/v1/books/7/authors", &[]), "before:[]");
    assert_eq!(body("/v1/books/7/place", &[]), "before:{}");
}
