//! From method and path to the RPC.

use proptest::prelude::*;
use transcode::Found;

use crate::Contract;

#[test]
fn method_and_path_lead_to_the_rpc() {
    let contract = Contract::books();

    for (method, path, expected) in [
        ("GET", "/v1/books/7", "GetBook"),
        ("GET", "/v1/books/best", "GetBestBook"),
        ("GET", "/v1/shelves/a/books/b", "GetBook"),
        ("PATCH", "/v1/books/7", "UpdateBook"),
        ("POST", "/v1/books", "CreateBook"),
        ("DELETE", "/v1/books/7", "DeleteBook"),
        ("LOCK", "/v1/books/7", "LockBook"),
        ("GET", "/v1/books/7:read", "ReadBook"),
        ("POST", "/v1/books/7:lend", "LendBook"),
        ("GET", "/v1/files/a/b/c", "GetFile"),
        ("GET", "/v1/files", "GetFile"),
        ("GET", "/v1/files/index", "GetFile"),
        ("HEAD", "/v1/books/7", "GetBook"),
    ] {
        assert_eq!(contract.name(method, path), expected, "{method} {path}");
    }
}

#[test]
fn a_literal_without_the_method_leaves_the_path_to_the_wildcard() {
    let contract = Contract::books();

    assert_eq!(contract.name("DELETE", "/v1/books/best"), "DeleteBook");
}

#[test]
fn paths_are_taken_as_they_are() {
    let contract = Contract::books();

    for path in [
        "/",
        "",
        "v1/books/7",
        "/v1/books/",
        "//v1/books",
        "/v1//books/7",
        "/v1/books/7/",
        "/v1/./books",
        "/v1",
    ] {
        assert_eq!(contract.name("GET", path), "nothing", "{path}");
    }
    assert_eq!(contract.request("GET", "/v1/books/..", "", "").unwrap()["id"], "..");
}

#[test]
fn a_known_path_with_another_method_names_the_methods() {
    let contract = Contract::books();

    assert_eq!(
        contract.name("PUT", "/v1/books/7"),
        "allow DELETE, GET, HEAD, LOCK, OPTIONS, PATCH"
    );
    assert_eq!(contract.name("GET", "/v1/books"), "allow OPTIONS, POST");
    assert_eq!(contract.name("OPTIONS", "/v1/books"), "allow OPTIONS, POST");
    assert_eq!(contract.name("GET", "/v1/books/7:lend"), "allow OPTIONS, POST");
    assert_eq!(contract.name("HEAD", "/v1/books/7:lend"), "allow OPTIONS, POST");
}

#[test]
fn a_colon_that_no_verb_follows_belongs_to_the_segment() {
    let contract = Contract::books();

    assert_eq!(contract.request("GET", "/v1/books/a:b", "", "").unwrap()["id"], "a:b");
    assert_eq!(
        contract.request("GET", "/v1/books/a%3Aread", "", "").unwrap()["id"],
        "a:read"
    );
    assert_eq!(
        contract.request("GET", "/v1/books/a:b:read", "", "").unwrap()["id"],
        "a:b"
    );
    assert_eq!(contract.name("GET", "/v1/books/:read"), "GetBook");
}

#[test]
fn an_escaped_letter_is_the_letter_but_an_escaped_slash_is_no_separator() {
    let contract = Contract::books();

    assert_eq!(contract.name("GET", "/v1/b%6Foks/7"), "GetBook");
    assert_eq!(contract.name("GET", "/v1%2Fbooks/7"), "nothing");
}

#[test]
fn an_rpc_without_a_rule_has_no_path() {
    let contract = Contract::books();

    assert_eq!(contract.name("POST", "/routes.Books/Unreachable"), "nothing");
    assert!(
        contract
            .routes
            .all()
            .iter()
            .all(|route| route.rpc.name() != "Unreachable")
    );
}

proptest! {
    #[test]
    fn no_path_breaks_the_lookup(path in "[/a-z%:{}*.]{0,40}", method in "GET|POST|HEAD|OPTIONS|X") {
        let _ = Contract::books().routes.find(&method, &path);
    }

    #[test]
    fn every_id_comes_back_as_it_was_sent(id in "\\PC{1,20}") {
        let contract = Contract::books();
        let escaped: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/v1/books/{escaped}");

        let Found::Route(found) = contract.routes.find("PATCH", &path) else { panic!("{path} leads nowhere") };
        let mut wire = Vec::new();
        found.read_path(&contract.plans, &mut wire).unwrap();

        let book = transcode::peek::last_bytes(&wire, 1).unwrap();
        prop_assert_eq!(transcode::peek::last_text(book, 1), Some(id.as_str()));
    }
}
