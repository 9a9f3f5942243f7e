//! Rules that cannot be served are errors at start, all of them.

use crate::Contract;

fn errors(rpcs: &str) -> Vec<String> {
    let source = format!(
        r#"
        syntax = "proto3";
        package bad;
        import "google/api/annotations.proto";
        message Inner {{ string id = 1; }}
        message Ask {{ string id = 1; repeated string many = 2; Inner inner = 3; map<string, string> map = 4; }}
        service Bad {{ {rpcs} }}
        "#
    );
    match Contract::compile(&source) {
        Ok(_) => Vec::new(),
        Err(errors) => errors,
    }
}

fn rpc(name: &str, rule: &str) -> String {
    format!("rpc {name}(Ask) returns (Ask) {{ option (google.api.http) = {{ {rule} }}; }}\n")
}

#[test]
fn two_rpcs_with_one_path_are_both_named() {
    let found = errors(&(rpc("First", r#"get: "/v1/a/{id}""#) + &rpc("Second", r#"get: "/v1/a/{inner.id}""#)));

    assert_eq!(
        found,
        ["bad.Bad.Second: `GET` with this path is taken by bad.Bad.First"]
    );
}

#[test]
fn the_same_path_with_another_method_or_verb_is_no_conflict() {
    let rules = [
        r#"get: "/v1/a/{id}""#,
        r#"delete: "/v1/a/{id}""#,
        r#"get: "/v1/a/{id}:read""#,
        r#"get: "/v1/a/{id}/b""#,
    ];
    let rpcs: String = rules
        .iter()
        .enumerate()
        .map(|(number, rule)| rpc(&format!("Rpc{number}"), rule))
        .collect();

    assert_eq!(errors(&rpcs), Vec::<String>::new());
}

#[test]
fn every_wrong_rule_is_reported() {
    let found = errors(
        &[
            rpc("A", r#"get: "v1""#),
            rpc("B", r#"get: "/b/{nope}""#),
            rpc("C", r#"get: "/c/{many}""#),
            rpc("D", r#"get: "/d/{inner}""#),
            rpc("E", r#"post: "/e" body: "nope""#),
            rpc("F", r#"get: "/f" body: "*""#),
            rpc("G", r#"get: "/g" response_body: "nope""#),
            rpc("H", r#"body: "*""#),
            rpc("I", r#"get: "/i/{map.key}""#),
        ]
        .concat(),
    );

    assert_eq!(
        found,
        [
            "bad.Bad.A: path template `v1`: must begin with `/`",
            "bad.Bad.B: `nope` is no field of the request that a path can fill",
            "bad.Bad.C: `many` is no field of the request that a path can fill",
            "bad.Bad.D: `inner` is no field of the request that a path can fill",
            "bad.Bad.E: body `nope` is no field of the request",
            "bad.Bad.F: a GET has no body",
            "bad.Bad.G: response_body `nope` is no field of the answer",
            "bad.Bad.H: the HTTP rule has no method and path",
            "bad.Bad.I: `map.key` is no field of the request that a path can fill",
        ]
    );
}
