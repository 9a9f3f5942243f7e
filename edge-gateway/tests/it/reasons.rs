//! Every reason that edge and services give stands in the contract: a problem's `type` leads to what it says there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// What stands before a reason where one is given.
const GIVERS: [&str; 9] = [
    "with_reason(",
    "with_error_info(",
    "Problem::new(",
    "bad_request(",
    "details(",
    "unavailable(",
    "denied(",
    "Self::new(",
    "refused_field(",
];

#[test]
fn every_reason_in_the_sources_is_explained_in_the_contract() {
    let document: Value = serde_json::from_slice(&edge_gateway::contract_document().unwrap()).unwrap();
    let entries = document["x-reasons"].as_array().unwrap();
    let explained: BTreeSet<&str> = entries.iter().filter_map(|entry| entry["reason"].as_str()).collect();
    let mut given = BTreeSet::new();
    for folder in [
        "edge-gateway",
        "svc-auth",
        "svc-bookmarks",
        "svc-enrich",
        "svc-import",
        "svc-task",
        "crates/service",
    ] {
        collect(&Path::new(ROOT).join(folder).join("src"), &mut given);
    }

    assert!(given.len() > 20, "the reasons were found: {given:?}");
    let missing: Vec<&String> = given
        .iter()
        .filter(|reason| !explained.contains(reason.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "no value of an enum with the option `problem`: {missing:?}"
    );
}

#[test]
fn every_entry_says_what_it_means_and_what_to_do() {
    let document: Value = serde_json::from_slice(&edge_gateway::contract_document().unwrap()).unwrap();

    for entry in document["x-reasons"].as_array().unwrap() {
        for member in ["description", "advice"] {
            assert!(
                entry[member].as_str().is_some_and(|text| !text.is_empty()),
                "{member} in {entry}"
            );
        }
    }
}

#[test]
fn every_reason_that_a_policy_names_is_in_its_operation() {
    let document: Value = serde_json::from_slice(&edge_gateway::contract_document().unwrap()).unwrap();
    let examples = document["components"]["examples"].as_object().unwrap();

    for reason in [
        "EMAIL_TAKEN",
        "BOOKMARK_EXISTS",
        "TOO_MANY_IMPORTS",
        "INDEX_BEHIND",
        "REFRESH_TOKEN_REUSED",
    ] {
        assert!(examples.contains_key(reason), "{reason}");
    }
    for own in ["LEASE_LOST", "TASK_NOT_CLAIMABLE"] {
        assert!(!examples.contains_key(own), "{own} is for services");
    }
}

fn collect(folder: &Path, given: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, given);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            given.extend(reasons(code));
        }
    }
}

/// The first text in upper case within a call that gives a reason.
fn reasons(code: &str) -> Vec<String> {
    let calls = GIVERS.iter().flat_map(|giver| code.split(giver).skip(1));
    let arguments = calls.map(|after| after.split(';').next().unwrap_or_default());
    let refusals = code.split("=> \"").skip(1).filter(|_| code.contains("impl Refusal"));
    let named = refusals.filter_map(|after| after.split('"').next()).map(str::to_owned);
    let first = arguments.filter_map(|arguments| arguments.split('"').skip(1).step_by(2).find(|text| is_reason(text)));
    first
        .map(str::to_owned)
        .chain(named)
        .filter(|text| is_reason(text))
        .collect()
}

fn is_reason(text: &str) -> bool {
    text.len() > 3 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}
