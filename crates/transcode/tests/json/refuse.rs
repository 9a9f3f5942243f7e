//! Wrong JSON: each refusal names the field and what was expected, and leaves the output as it was.

use crate::oracle::schema;

#[track_caller]
fn refused(json: impl AsRef<[u8]>, field: &str, description: &str) {
    let (found_field, found_description) = schema().refusal(json);

    assert_eq!((found_field.as_str(), found_description.as_str()), (field, description));
}

#[test]
fn an_unknown_field() {
    refused(r#"{"nope":1}"#, "nope", "unknown field");
    refused(
        r#"{"leaves":[{},{"child":{"nope":1}}]}"#,
        "leaves[1].child.nope",
        "unknown field",
    );
    refused(
        r#"{"byString":{},"leafByName":{"a b":{"x":1}}}"#,
        r#"leafByName["a b"].x"#,
        "unknown field",
    );
}

#[test]
fn a_long_unknown_name_is_cut() {
    let json = format!(r#"{{"{}":1}}"#, "n".repeat(1000));

    refused(json, &format!("{}...", "n".repeat(64)), "unknown field");
}

#[test]
fn a_field_that_is_given_twice() {
    refused(r#"{"int32Field":1,"int32Field":1}"#, "int32Field", "is given twice");
    refused(r#"{"int32Field":1,"int32_field":1}"#, "int32Field", "is given twice");
    refused(r#"{"int32Field":null,"int32_field":1}"#, "int32Field", "is given twice");
    refused(r#"{"leaf":{"title":"a","title":"b"}}"#, "leaf.title", "is given twice");
    refused(r#"{"uint32Value":1,"uint32_value":1}"#, "uint32Value", "is given twice");
}

#[test]
fn a_key_that_is_given_twice() {
    refused(
        r#"{"byString":{"a":"1","a":"2"}}"#,
        r#"byString["a"]"#,
        "key is given twice",
    );
    refused(
        r#"{"byInt32":{"1":"a","1e0":"b"}}"#,
        r#"byInt32["1"]"#,
        "key is given twice",
    );
    refused(
        r#"{"struct":{"k":{"a":1,"a":2}}}"#,
        r#"struct["k"]["a"]"#,
        "key is given twice",
    );
    let many: String = (0..20).map(|number| format!(r#""{number}":"","#)).collect();
    refused(
        format!(r#"{{"byInt32":{{{many}"15":""}}}}"#),
        r#"byInt32["15"]"#,
        "key is given twice",
    );
}

#[test]
fn json_that_is_nested_too_deep() {
    let objects = format!("{}{}{}", r#"{"self":"#.repeat(100), "{}", "}".repeat(100));
    let lists = format!(r#"{{"value":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let skipped = format!(r#"{{"any":{{"x":{}{}}}}}"#, "[".repeat(100_000), "]".repeat(100_000));

    for json in [objects, lists, skipped] {
        let (field, description) = schema().refusal(json);

        assert_eq!(field, "");
        assert!(
            description.ends_with(": nested deeper than 100 levels"),
            "{description}"
        );
    }
}

#[test]
fn json_whose_wire_would_be_nested_deeper_than_services_read() {
    let json = format!(r#"{{"value":{}1{}}}"#, r#"{"a":"#.repeat(40), "}".repeat(40));
    let fits = json.replacen(r#"{"a":"#, "", 8).replacen('}', "", 8);

    let (_, description) = schema().refusal(json);

    assert!(
        description.ends_with(": nested deeper than 100 levels"),
        "{description}"
    );
    assert!(schema().decode(&schema().read(fits).expect("it fits")).is_some());
}

#[test]
fn a_value_of_another_type() {
    refused(r#"{"stringField":1}"#, "stringField", "expected a string, got a number");
    refused(
        r#"{"int32Field":true}"#,
        "int32Field",
        "expected an integer, got true or false",
    );
    refused(
        r#"{"int32Field":{}}"#,
        "int32Field",
        "expected an integer, got an object",
    );
    refused(
        r#"{"boolField":"true"}"#,
        "boolField",
        "expected true or false, got a string",
    );
    refused(r#"{"doubleField":[]}"#, "doubleField", "expected a number, got a list");
    refused(
        r#"{"bytesField":7}"#,
        "bytesField",
        "expected a string of base64, got a number",
    );
    refused(
        r#"{"color":true}"#,
        "color",
        "expected the name of an enum value, got true or false",
    );
    refused(r#"{"leaf":[]}"#, "leaf", "expected an object, got a list");
    refused(r#"{"strings":"a"}"#, "strings", "expected a list, got a string");
    refused(
        r#"{"strings":["a",2]}"#,
        "strings[1]",
        "expected a string, got a number",
    );
    refused(r#"{"byString":[]}"#, "byString", "expected an object, got a list");
    refused(
        r#"{"byString":{"k":2}}"#,
        r#"byString["k"]"#,
        "expected a string, got a number",
    );
    refused(
        r#"{"timestamp":5}"#,
        "timestamp",
        "expected a string with a time, got a number",
    );
    refused(r#"{"empty":[]}"#, "empty", "expected an object, got a list");
    refused("[]", "", "expected an object, got a list");
    refused("null", "", "expected an object, got null");
}

#[test]
fn null_inside_a_list_or_map() {
    refused(r#"{"strings":["a",null]}"#, "strings[1]", "expected a string, got null");
    refused(r#"{"leaves":[null]}"#, "leaves[0]", "expected an object, got null");
    refused(
        r#"{"byString":{"k":null}}"#,
        r#"byString["k"]"#,
        "expected a string, got null",
    );
}

#[test]
fn a_number_out_of_range() {
    refused(
        r#"{"int32Field":2147483648}"#,
        "int32Field",
        "expected an integer from -2147483648 to 2147483647",
    );
    refused(
        r#"{"uint32Field":-1}"#,
        "uint32Field",
        "expected an integer from 0 to 4294967295",
    );
    refused(
        r#"{"uint64Field":"18446744073709551616"}"#,
        "uint64Field",
        "expected an integer from 0 to 18446744073709551615",
    );
    refused(
        r#"{"int64Field":1e19}"#,
        "int64Field",
        "expected an integer from -9223372036854775808 to 9223372036854775807",
    );
    refused(
        r#"{"int64Field":1e999999999999999999999}"#,
        "int64Field",
        "expected an integer from -9223372036854775808 to 9223372036854775807",
    );
    refused(
        r#"{"floatField":3.5e38}"#,
        "floatField",
        "expected a number in the range of a float",
    );
    refused(
        r#"{"doubleField":1e309}"#,
        "doubleField",
        "expected a number in the range of a double",
    );
    refused(
        r#"{"color":2147483648}"#,
        "color",
        "expected an integer from -2147483648 to 2147483647",
    );
    refused(
        r#"{"byInt32":{"2147483648":""}}"#,
        r#"byInt32["2147483648"]"#,
        "expected an integer from -2147483648 to 2147483647",
    );
}

#[test]
fn a_fraction_where_an_integer_belongs() {
    refused(
        r#"{"int32Field":1.5}"#,
        "int32Field",
        "expected a number without a fraction",
    );
    refused(
        r#"{"int64s":[1,"12e-1"]}"#,
        "int64s[1]",
        "expected a number without a fraction",
    );
}

#[test]
fn text_that_is_no_number() {
    let range = "expected an integer from -2147483648 to 2147483647";
    for text in ["", " 1", "1 ", "+1", "01", "0x1", "one", "1.", "--1"] {
        refused(format!(r#"{{"int32Field":"{text}"}}"#), "int32Field", range);
    }
    let float = r#"expected a number, "NaN", "Infinity" or "-Infinity""#;
    for text in ["", "nan", "inf", "+1", ".5", "1e"] {
        refused(format!(r#"{{"doubleField":"{text}"}}"#), "doubleField", float);
    }
}

#[test]
fn bad_base64() {
    for text in ["A", "A*==", "AA=A", "+_8="] {
        refused(format!(r#"{{"bytesField":"{text}"}}"#), "bytesField", "expected base64");
    }
}

#[test]
fn bad_utf8() {
    refused(b"{\"leaf\":{\"title\":\"a\xff\"}}", "leaf.title", "is not valid UTF-8");
    refused(b"{\"leaf\":{\"ti\xff\":1}}", "leaf", "is not valid UTF-8");
    refused(
        b"{\xff}",
        "",
        "line 1 column 2: expected a name in quotes, got byte 0xff",
    );
}

#[test]
fn half_of_a_surrogate_pair() {
    let description = "has a \\u escape that is half of a surrogate pair";
    for text in [r"\ud83e", r"\ud83ex", r"\udd80", r"\ud83e\ud83e", r"\ud83e\n"] {
        refused(format!(r#"{{"stringField":"{text}"}}"#), "stringField", description);
    }
}

#[test]
fn a_name_that_an_enum_does_not_have() {
    let description = r#"expected one of "COLOR_DEEP", "COLOR_UNSPECIFIED", "COLOR_RED", "COLOR_GREEN", "COLOR_FAR""#;

    refused(r#"{"color":"red"}"#, "color", description);
    refused(r#"{"color":"1"}"#, "color", description);
    refused(r#"{"nullField":"nothing"}"#, "nullField", "expected null");
}

#[test]
fn a_bad_timestamp() {
    let description = r#"expected a time such as "2026-01-02T03:04:05Z""#;
    for text in [
        "",
        "2026-01-02",
        "2026-01-02 03:04:05Z",
        "2026-01-02t03:04:05Z",
        "2026-01-02T03:04:05",
        "2026-13-02T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05.1234567890Z",
        "2026-01-02T03:04:05+0100",
        "2026-01-02T03:04:05Zulu",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00Z",
        "２026-01-02T03:04:05Z",
    ] {
        refused(format!(r#"{{"timestamp":"{text}"}}"#), "timestamp", description);
    }
}

#[test]
fn a_bad_duration() {
    let description = r#"expected a duration such as "1.5s""#;
    for text in [
        "",
        "s",
        "1",
        "1.s",
        ".5s",
        "+1s",
        "1.5m",
        "1 s",
        "--1s",
        "1.0000000001s",
        "315576000001s",
        "99999999999999999999s",
    ] {
        refused(format!(r#"{{"duration":"{text}"}}"#), "duration", description);
    }
}

#[test]
fn a_field_mask_in_snake_case() {
    refused(
        r#"{"fieldMask":"note_text"}"#,
        "fieldMask",
        "expected field names in camelCase, separated by commas",
    );
}

#[test]
fn two_fields_of_one_oneof() {
    refused(
        r#"{"choiceString":"a","choiceInt64":1}"#,
        "choiceInt64",
        "only one field of `choice` may be set, and `choiceString` is already",
    );
    refused(
        r#"{"choiceNull":null,"choiceValue":null}"#,
        "choiceValue",
        "only one field of `choice` may be set, and `choiceNull` is already",
    );
    assert!(schema().read(r#"{"choiceString":"a","otherBool":true}"#).is_ok());
}

#[test]
fn anything_behind_the_body() {
    refused("{} x", "", "line 1 column 4: expected the end of the body, got `x`");
    refused("{}{}", "", "line 1 column 3: expected the end of the body, got `{`");
    refused(
        "{}\0",
        "",
        "line 1 column 3: expected the end of the body, got byte 0x00",
    );
}

#[test]
fn a_body_that_is_empty_or_ends_early() {
    refused("", "", "line 1 column 1: expected a value, the body ends");
    refused(" \n ", "", "line 2 column 2: expected a value, the body ends");
    refused("{", "", "line 1 column 2: expected a name in quotes, the body ends");
    refused(
        r#"{"stringField":"#,
        "",
        "line 1 column 16: expected a value, the body ends",
    );
    refused(r#"{"stringField":"a"#, "", "line 1 column 18: string does not end");
    refused(r#"{"stringField":"a\"#, "", "line 1 column 19: unknown escape");
    refused(
        r#"{"stringField":"\ud83e\u"#,
        "",
        "line 1 column 25: expected four hexadecimal digits",
    );
    refused(
        r#"{"strings":["a""#,
        "",
        "line 1 column 16: expected `,` or `]`, the body ends",
    );
}

#[test]
fn text_that_is_no_json() {
    refused(
        "{\n  \"int32Field\": 1,\n}",
        "",
        "line 3 column 1: expected a name in quotes, got `}`",
    );
    refused(
        r#"{"strings":["a",]}"#,
        "",
        "line 1 column 17: expected a value, got `]`",
    );
    refused(r#"{"strings":[,]}"#, "", "line 1 column 13: expected a value, got `,`");
    refused(r#"{"int32Field" 1}"#, "", "line 1 column 15: expected `:`, got `1`");
    refused(r#"{"int32Field":01}"#, "", "line 1 column 15: expected a number");
    refused(
        r#"{"int32Field":+1}"#,
        "",
        "line 1 column 15: expected a value, got `+`",
    );
    refused(
        r#"{"doubleField":.5}"#,
        "",
        "line 1 column 16: expected a value, got `.`",
    );
    refused(
        r#"{"doubleField":NaN}"#,
        "",
        "line 1 column 16: expected a value, got `N`",
    );
    refused(r#"{"boolField":tru}"#, "", "line 1 column 14: expected `true`");
    refused(
        r#"{'int32Field':1}"#,
        "",
        "line 1 column 2: expected a name in quotes, got `'`",
    );
    refused(r#"{"stringField":"\x"}"#, "", "line 1 column 18: unknown escape");
    refused(
        "{\"stringField\":\"a\nb\"}",
        "",
        "line 1 column 18: control characters in strings must be escaped",
    );
    refused("// no\n{}", "", "line 1 column 1: expected a value, got `/`");
    refused("\u{feff}{}", "", "line 1 column 1: expected a value, got byte 0xef");
}

#[test]
fn an_any_without_what_it_needs() {
    let leaf = r#""@type":"type.googleapis.com/transcode.test.Leaf""#;
    let duration = r#""@type":"type.googleapis.com/google.protobuf.Duration""#;

    refused(r#"{"any":{"count":1}}"#, "any.@type", "is missing");
    refused(r#"{"any":{"@type":1}}"#, "any.@type", "expected a string, got a number");
    refused(format!(r#"{{"any":{{{leaf},{leaf}}}}}"#), "any.@type", "is given twice");
    refused(format!(r#"{{"any":{{{leaf},"nope":1}}}}"#), "any.nope", "unknown field");
    refused(
        format!(r#"{{"any":{{{leaf},"count":"x"}}}}"#),
        "any.count",
        "expected an integer from -2147483648 to 2147483647",
    );
    refused(format!(r#"{{"any":{{{duration}}}}}"#), "any.value", "is missing");
    refused(
        format!(r#"{{"any":{{{duration},"value":"1s","seconds":1}}}}"#),
        "any.seconds",
        "unknown field",
    );
    refused(
        format!(r#"{{"any":{{{duration},"value":"1s","value":"1s"}}}}"#),
        "any.value",
        "is given twice",
    );
}

#[test]
fn a_refused_body_leaves_the_output_as_it_was() {
    let mut out = b"before".to_vec();

    let read = schema()
        .plans
        .read_json(schema().everything, br#"{"leaf":{"title":"x","nope":1}}"#, &mut out);

    assert!(read.is_err());
    assert_eq!(out, b"before");
}

#[test]
fn a_body_of_one_field_has_paths_that_start_there() {
    let mut out = Vec::new();
    let read = schema()
        .plans
        .read_json_field(schema().everything, 30, br#"{"tags":["a",1]}"#, &mut out);

    let error = read.expect_err("a tag is a string");

    assert_eq!(error.to_string(), "tags[1]: expected a string, got a number");
}
