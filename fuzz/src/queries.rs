//! Query strings into every kind of field.

use std::sync::OnceLock;

use prost_reflect::DynamicMessage;
use transcode::{WireError, WriteOptions};

use crate::{Contract, text_of_pieces};

const PIECES: [&str; 20] = [
    "=",
    "=",
    "&",
    "&",
    "+",
    "%20",
    "%26",
    "%zz",
    "%ff",
    "%C3%A9",
    "true",
    "-1",
    "2147483648",
    "1e3",
    "NaN",
    "Infinity",
    "2026-11-23T18:25:48.5Z",
    "1.5s",
    ".",
    "é",
];

pub fn check(data: &[u8]) {
    let contract = contract();
    let names = names(contract);
    let pieces: Vec<&str> = PIECES.into_iter().chain(names.iter().map(String::as_str)).collect();
    let query = text_of_pieces(data, &pieces);
    let route = &contract.routes.all()[0];
    let mut wire = Vec::new();
    match route.read_query(&contract.plans, &query, &mut wire) {
        Ok(()) => {
            DynamicMessage::decode(route.rpc.input(), wire.as_slice()).expect("what the query fills is a message");
            let mut json = Vec::new();
            let options = WriteOptions { emit_defaults: true };
            let written = route.write_response(&contract.plans, &wire, options, &mut json);
            // A query's mask may have any name, also one that JSON cannot bring back; services refuse it.
            let is_expected = matches!(written, Ok(()) | Err(WireError::BadFieldMask));
            assert!(is_expected, "{query}: {written:?}");
        }
        Err(violations) => assert!(!violations.is_empty(), "{query}"),
    }
}

fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| Contract::compile("fuzz.proto"))
}

/// Of all fields, in both spellings.
fn names(contract: &Contract) -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let message = contract.routes.all()[0].rpc.input();
        message
            .fields()
            .flat_map(|field| [field.name().to_owned(), field.json_name().to_owned()])
            .collect()
    })
}
