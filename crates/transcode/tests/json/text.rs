//! Path and query parameters.

use transcode::FieldViolation;

use crate::oracle::{SPARSE, schema};

fn read(field_path: &str, values: &[&str]) -> Result<String, FieldViolation> {
    let mut wire = Vec::new();
    schema()
        .plans
        .read_text(schema().everything, field_path, values, &mut wire)?;
    Ok(schema().oracle_write(&wire, SPARSE).expect("what we wrote is right"))
}

#[track_caller]
fn reads(field_path: &str, values: &[&str], expected: &str) {
    assert_eq!(read(field_path, values).as_deref(), Ok(expected));
}

#[track_caller]
fn refused(field_path: &str, values: &[&str], field: &str, description: &str) {
    let violation = read(field_path, values).expect_err("the parameter is wrong");

    assert_eq!(
        (violation.field.as_str(), violation.description.as_str()),
        (field, description)
    );
}

#[test]
fn scalars_of_every_kind_are_read() {
    reads("doubleField", &["-1.5"], r#"{"doubleField":-1.5}"#);
    reads("floatField", &["NaN"], r#"{"floatField":"NaN"}"#);
    reads("int32_field", &["-7"], r#"{"int32Field":-7}"#);
    reads(
        "int64Field",
        &["9007199254740993"],
        r#"{"int64Field":"9007199254740993"}"#,
    );
    reads(
        "fixed64Field",
        &["18446744073709551615"],
        r#"{"fixed64Field":"18446744073709551615"}"#,
    );
    reads("sint32Field", &["-1"], r#"{"sint32Field":-1}"#);
    reads("boolField", &["true"], r#"{"boolField":true}"#);
    reads("stringField", &["a b/ä"], r#"{"stringField":"a b/ä"}"#);
    reads("bytesField", &["-_8"], r#"{"bytesField":"+/8="}"#);
    reads("color", &["COLOR_RED"], r#"{"color":"COLOR_RED"}"#);
    reads("color", &["77"], r#"{"color":77}"#);
    reads("optionalInt32", &["0"], r#"{"optionalInt32":0}"#);
    reads("optionalString", &[""], r#"{"optionalString":""}"#);
}

#[test]
fn well_known_types_with_a_text_form_are_read() {
    reads(
        "timestamp",
        &["2026-11-23T17:00:00Z"],
        r#"{"timestamp":"2026-11-23T17:00:00Z"}"#,
    );
    reads("duration", &["1.5s"], r#"{"duration":"1.500s"}"#);
    reads(
        "fieldMask",
        &["title,note_text,leafCount"],
        r#"{"fieldMask":"title,noteText,leafCount"}"#,
    );
    reads("int64Value", &["5"], r#"{"int64Value":"5"}"#);
    reads("stringValue", &[""], r#"{"stringValue":""}"#);
}

#[test]
fn nested_fields_are_reached_by_path() {
    reads("leaf.title", &["x"], r#"{"leaf":{"title":"x"}}"#);
    reads(
        "self.leaf.child.count",
        &["3"],
        r#"{"self":{"leaf":{"child":{"count":3}}}}"#,
    );
}

#[test]
fn repeated_fields_take_every_value() {
    reads("strings", &["a", "b"], r#"{"strings":["a","b"]}"#);
    reads("int32s", &["1", "2"], r#"{"int32s":[1,2]}"#);
    reads("leaf.tags", &["x"], r#"{"leaf":{"tags":["x"]}}"#);
    reads(
        "timestamps",
        &["2026-11-23T17:00:00Z"],
        r#"{"timestamps":["2026-11-23T17:00:00Z"]}"#,
    );
}

#[test]
fn several_parameters_merge() {
    let mut wire = Vec::new();
    for (field_path, value) in [("leaf.title", "x"), ("int32Field", "1"), ("leaf.count", "2")] {
        let read = schema()
            .plans
            .read_text(schema().everything, field_path, &[value], &mut wire);
        read.expect("the parameter is right");
    }

    let json = schema().oracle_write(&wire, SPARSE);

    assert_eq!(
        json.as_deref(),
        Some(r#"{"int32Field":1,"leaf":{"title":"x","count":2}}"#)
    );
}

#[test]
fn wrong_parameters_are_refused_with_their_path_in_camel_case() {
    refused("nope", &["1"], "nope", "unknown field");
    refused("leaf.nope", &["1"], "leaf.nope", "unknown field");
    refused(
        "int32_field",
        &["x"],
        "int32Field",
        "expected an integer from -2147483648 to 2147483647",
    );
    refused(
        "int32_field",
        &[""],
        "int32Field",
        "expected an integer from -2147483648 to 2147483647",
    );
    refused("bool_field", &["1"], "boolField", "expected true or false");
    refused("int32_field", &["1", "2"], "int32Field", "is given twice");
    refused(
        "int32s",
        &["1", "x"],
        "int32s[1]",
        "expected an integer from -2147483648 to 2147483647",
    );
    refused(
        "timestamp",
        &["yesterday"],
        "timestamp",
        r#"expected a time such as "2026-01-02T03:04:05Z""#,
    );
    refused("duration", &["1"], "duration", r#"expected a duration such as "1.5s""#);
    refused("leaf", &["x"], "leaf", "cannot be given as a parameter");
    refused("struct", &["x"], "struct", "cannot be given as a parameter");
    refused("by_string", &["x"], "byString", "a map cannot be given as a parameter");
    refused("string_field.x", &["x"], "stringField", "is not a message with fields");
    refused("leaves.title", &["x"], "leaves", "is not a message with fields");
    refused("timestamp.seconds", &["1"], "timestamp", "is not a message with fields");
}
