//! What JSON of wire bytes looks like, where a property does not say it.

use prost::encoding::{WireType, encode_key, encode_varint};

use crate::generate::length_delimited;
use crate::oracle::{FULL, SPARSE, schema};

/// Wire bytes of what JSON says, by prost-reflect, so that these tests do not lean on our own reader.
fn wire(json: &str) -> Vec<u8> {
    let message = schema().oracle_read(json.as_bytes()).expect("the JSON is right");
    prost::Message::encode_to_vec(&message)
}

fn written(wire: &[u8]) -> String {
    schema().write(wire, SPARSE).expect("the wire is right")
}

#[test]
fn an_empty_message_is_an_empty_object_or_all_defaults() {
    let full = schema().write(&[], FULL).expect("the wire is right");

    assert_eq!(written(&[]), "{}");
    assert!(
        full.starts_with(r#"{"doubleField":0.0,"floatField":0.0,"int32Field":0,"int64Field":"0","#),
        "{full}"
    );
    assert!(
        full.contains(r#""color":"COLOR_UNSPECIFIED","nullField":null,"doubles":[]"#),
        "{full}"
    );
    assert!(full.contains(r#""byInt32":{}"#), "{full}");
    assert!(
        !full.contains("optional") && !full.contains("choice") && !full.contains("leaf\""),
        "{full}"
    );
}

#[test]
fn numbers_keep_the_rules_of_protojson() {
    let json = r#"{"int64Field":"-9223372036854775808","uint64Field":"18446744073709551615","optionalDouble":-0.0}"#;

    assert_eq!(written(&wire(json)), json);
}

#[test]
fn numbers_that_are_not_finite_are_named() {
    let json = r#"{"doubleField":"NaN","floatField":"-Infinity","optionalDouble":"Infinity"}"#;

    assert_eq!(written(&wire(json)), json);
}

#[test]
fn wrapped_numbers_that_are_not_finite_are_named_too() {
    // prost-reflect prints null here, which would read back as no value.
    let mut content = Vec::new();
    encode_key(1, WireType::SixtyFourBit, &mut content);
    content.extend(f64::NAN.to_le_bytes());
    let mut wire = Vec::new();
    length_delimited(109, &content, &mut wire);

    assert_eq!(written(&wire), r#"{"doubleValue":"NaN"}"#);
}

#[test]
fn unknown_enum_numbers_are_numbers() {
    let mut wire = Vec::new();
    encode_key(16, WireType::Varint, &mut wire);
    encode_varint(77, &mut wire);

    assert_eq!(written(&wire), r#"{"color":77}"#);
}

#[test]
fn map_entries_are_sorted_by_key_and_the_last_of_one_key_counts() {
    let mut wire = Vec::new();
    for (key, value) in [(10_i64, "old"), (-2, "b"), (9, "c"), (10, "new")] {
        let mut entry = Vec::new();
        encode_key(1, WireType::Varint, &mut entry);
        encode_varint(key as u64, &mut entry);
        length_delimited(2, value.as_bytes(), &mut entry);
        length_delimited(61, &entry, &mut wire);
    }

    assert_eq!(written(&wire), r#"{"byInt32":{"-2":"b","9":"c","10":"new"}}"#);
}

#[test]
fn split_messages_merge_and_the_last_member_of_a_oneof_wins() {
    let pieces = [
        r#"{"leaf":{"title":"first","tags":["a"]},"choiceString":"x"}"#,
        r#"{"choiceLeaf":{"count":1}}"#,
        r#"{"leaf":{"count":2,"tags":["b"]},"choiceLeaf":{"title":"t"}}"#,
    ];
    let wire: Vec<u8> = pieces.into_iter().flat_map(wire).collect();

    let expected = r#"{"leaf":{"title":"first","count":2,"tags":["a","b"]},"choiceLeaf":{"title":"t","count":1}}"#;
    assert_eq!(written(&wire), expected);
}

#[test]
fn deep_messages_out_of_order_cost_two_passes_and_not_two_at_each_level() {
    let mut wire = Vec::new();
    for _ in 0..99 {
        let mut outer = Vec::new();
        length_delimited(31, &wire, &mut outer);
        // After field 31, so that every level is out of order.
        length_delimited(14, b"late", &mut outer);
        wire = outer;
    }

    let json = written(&wire);

    assert_eq!(json.matches("late").count(), 99);
}

#[test]
fn an_any_of_a_known_type_shows_its_fields_and_of_an_unknown_one_its_bytes() {
    let mut known = Vec::new();
    length_delimited(1, b"type.googleapis.com/transcode.test.Leaf", &mut known);
    length_delimited(2, &[0x10, 7], &mut known);
    let mut unknown = Vec::new();
    length_delimited(1, b"type.googleapis.com/nobody.Knows", &mut unknown);
    length_delimited(2, &[0x10, 7], &mut unknown);

    for (any, expected) in [
        (
            known,
            r#"{"any":{"@type":"type.googleapis.com/transcode.test.Leaf","count":7}}"#,
        ),
        (
            unknown,
            r#"{"any":{"@type":"type.googleapis.com/nobody.Knows","value":"EAc="}}"#,
        ),
        (Vec::new(), r#"{"any":{}}"#),
    ] {
        let mut wire = Vec::new();
        length_delimited(107, &any, &mut wire);

        assert_eq!(written(&wire), expected);
    }
}

#[test]
fn output_is_appended() {
    let mut out = b"data: ".to_vec();

    schema()
        .plans
        .write_json(schema().everything, &[0x18, 1], SPARSE, &mut out)
        .expect("the wire is right");

    assert_eq!(out, br#"data: {"int32Field":1}"#);
}

#[test]
fn one_field_can_be_the_whole_output() {
    let wire = wire(r#"{"leaves":[{"title":"a"},{"count":2}],"leaf":{"title":"b"},"byString":{"k":"v"}}"#);

    for (number, expected) in [
        (58, r#"[{"title":"a"},{"count":2}]"#),
        (30, r#"{"title":"b"}"#),
        (72, r#"{"k":"v"}"#),
        (41, "[]"),
        (61, "{}"),
        (31, "null"),
        (4, "\"0\""),
        (14, "\"\""),
    ] {
        let mut out = Vec::new();
        schema()
            .plans
            .write_json_field(schema().everything, number, &wire, SPARSE, &mut out)
            .expect("the wire is right");

        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
