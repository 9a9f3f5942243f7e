//! What JSON is accepted, and as what.

use crate::oracle::schema;

#[test]
fn fields_go_by_their_json_name_and_by_their_proto_name() {
    assert_eq!(
        schema().round(r#"{"int32Field":1,"string_field":"x"}"#),
        r#"{"int32Field":1,"stringField":"x"}"#
    );
    assert_eq!(
        schema().round(r#"{"another\"name":"a","snake2Case":"b"}"#),
        r#"{"another\"name":"a","snake2Case":"b"}"#
    );
}

#[test]
fn white_space_may_be_between_all_tokens() {
    let json = " \t\r\n{ \"leaf\" : { \"tags\" : [ \"a\" , \"b\" ] } , \"int32Field\" : 5 } \n";

    assert_eq!(schema().round(json), r#"{"int32Field":5,"leaf":{"tags":["a","b"]}}"#);
}

#[test]
fn integers_may_be_numbers_or_strings_or_have_an_exponent() {
    for json in ["7", "7.0", "70e-1", "0.7E+1", "\"7\"", "\"7.0\"", "700e-2"] {
        assert_eq!(
            schema().round(&format!(r#"{{"int64Field":{json}}}"#)),
            r#"{"int64Field":"7"}"#
        );
        assert_eq!(
            schema().round(&format!(r#"{{"sint32Field":{json}}}"#)),
            r#"{"sint32Field":7}"#
        );
    }
}

#[test]
fn integers_reach_to_both_ends_of_their_range_without_rounding() {
    let json = concat!(
        r#"{"int32Field":-2147483648,"int64Field":"9223372036854775807","uint32Field":4294967295,"#,
        r#""uint64Field":"18446744073709551615","sint64Field":"-9223372036854775808","sfixed64Field":"9007199254740993"}"#
    );

    assert_eq!(schema().round(json), json);
    assert_eq!(
        schema().round(&json.replace("\"9223372036854775807\"", "9223372036854775807")),
        json
    );
}

#[test]
fn floats_may_be_named_or_quoted_and_keep_their_sign() {
    let json = r#"{"doubleField":"NaN","floatField":"Infinity","optionalDouble":-0.0,"optionalFloat":0.1}"#;

    assert_eq!(schema().round(json), json);
    assert_eq!(
        schema().round(r#"{"optionalDouble":"-0","optionalFloat":"1e-1"}"#),
        r#"{"optionalDouble":-0.0,"optionalFloat":0.1}"#
    );
}

#[test]
fn bytes_may_be_standard_or_url_safe_with_and_without_padding() {
    for json in ["+/8=", "+/8", "-_8=", "-_8"] {
        assert_eq!(
            schema().round(&format!(r#"{{"bytesField":"{json}"}}"#)),
            r#"{"bytesField":"+/8="}"#
        );
    }
}

#[test]
fn enums_may_be_names_aliases_or_any_number() {
    let json = r#"{"colors":["COLOR_RED","COLOR_VERDANT",2,-5,77,"COLOR_FAR"]}"#;

    let expected = r#"{"colors":["COLOR_RED","COLOR_GREEN","COLOR_GREEN","COLOR_DEEP",77,"COLOR_FAR"]}"#;
    assert_eq!(schema().round(json), expected);
}

#[test]
fn escapes_of_all_forms_are_read() {
    let json = r#"{"stringField":"\"\\\/\b\f\n\r\t\u00e4\u6F22\uD83E\uDD80\u0000end"}"#;

    assert_eq!(
        schema().round(json),
        r#"{"stringField":"\"\\/\b\f\n\r\tä漢🦀\u0000end"}"#
    );
}

#[test]
fn null_is_no_value_but_for_value_and_null_value() {
    let json = r#"{"int32Field":null,"leaf":null,"strings":null,"byString":null,"choiceString":null,"optionalBool":null,
        "int64Value":null,"timestamp":null,"values":null}"#;

    assert_eq!(schema().round(json), "{}");
    assert_eq!(
        schema().round(r#"{"value":null,"optionalNull":null}"#),
        r#"{"optionalNull":null,"value":null}"#
    );
    assert_eq!(schema().round(r#"{"choiceNull":null}"#), r#"{"choiceNull":null}"#);
    assert_eq!(schema().round(r#"{"values":[null,1]}"#), r#"{"values":[null,1.0]}"#);
    assert_eq!(
        schema().round(r#"{"nulls":[null,"NULL_VALUE"]}"#),
        r#"{"nulls":[null,null]}"#
    );
    assert_eq!(
        schema().round(r#"{"choiceString":null,"choiceInt64":5}"#),
        r#"{"choiceInt64":"5"}"#
    );
}

#[test]
fn timestamps_have_fractions_and_offsets() {
    for (json, expected) in [
        ("2026-11-23T17:00:00Z", "2026-11-23T17:00:00Z"),
        ("2026-11-23T17:00:00.5+01:30", "2026-11-23T15:30:00.500Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
        ("2024-02-29T00:00:00-23:59", "2024-02-29T23:59:00Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
    ] {
        let json = format!(r#"{{"timestamp":"{json}"}}"#);

        assert_eq!(schema().round(&json), format!(r#"{{"timestamp":"{expected}"}}"#));
    }
}

#[test]
fn durations_masks_and_wrappers_are_read() {
    for json in [
        r#"{"duration":"-1.500s"}"#,
        r#"{"duration":"315576000000s"}"#,
        r#"{"duration":"-0.000000001s"}"#,
        r#"{"fieldMask":"title,noteText,leaf.countOfAll,*"}"#,
        r#"{"fieldMask":""}"#,
        r#"{"int64Value":"0","boolValue":false,"stringValue":"","bytesValue":"AA=="}"#,
        r#"{"doubleValue":0.5,"floatValue":-1.5,"uint64Value":"1","int32Value":-1,"uint32Value":1}"#,
        r#"{"empty":{}}"#,
    ] {
        assert_eq!(schema().round(json), json);
    }
}

#[test]
fn any_json_is_a_value_a_struct_or_a_list() {
    let json = r#"{"struct":{"a":{"b":[1.5,"x",null,true,{}]}},"value":[[],{"k":[]}],"listValue":[1.0,[null]]}"#;

    assert_eq!(schema().round(json), json);
}

#[test]
fn an_any_may_name_its_type_last() {
    let json = r#"{"any":{"count":7,"child":{"title":"x"},"@type":"type.googleapis.com/transcode.test.Leaf"}}"#;

    let expected = r#"{"any":{"@type":"type.googleapis.com/transcode.test.Leaf","count":7,"child":{"title":"x"}}}"#;
    assert_eq!(schema().round(json), expected);
}

#[test]
fn an_any_of_a_well_known_type_has_a_value() {
    let json = r#"{"any":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}}"#;

    assert_eq!(schema().round(json), json);
}

#[test]
fn an_any_of_an_unknown_type_keeps_its_bytes() {
    let json = r#"{"any":{"@type":"type.googleapis.com/nobody.Knows","value":"EAc="}}"#;

    let wire = schema().read(json).expect("the JSON is right");

    assert_eq!(schema().write(&wire, crate::oracle::SPARSE).as_deref(), Ok(json));
    assert_eq!(schema().round(r#"{"int32Field":1,"any":null}"#), r#"{"int32Field":1}"#);
}

#[test]
fn keys_of_maps_are_read_by_their_kind() {
    let json = r#"{"byInt32":{"-1":"a"},"byUint64":{"18446744073709551615":"b"},"bySint64":{"-5":"c"},"byBool":{"true":"d"},"byString":{"":"e"}}"#;

    assert_eq!(schema().round(json), json);
}

#[test]
fn long_nested_messages_have_right_lengths() {
    let title = "t".repeat(20_000);
    let json = format!(r#"{{"leaf":{{"title":"x","child":{{"title":"{title}","child":{{"count":1}}}}}}}}"#);

    assert_eq!(schema().round(&json), json);
}

#[test]
fn a_hundred_levels_are_read() {
    let json = format!(r#"{}{}{}"#, r#"{"self":"#.repeat(99), "{}", "}".repeat(99));

    assert!(schema().read(&json).is_ok());
}

#[test]
fn a_body_may_be_one_field() {
    for (number, json, expected) in [
        (30, r#"{"title":"x"}"#, r#"{"leaf":{"title":"x"}}"#),
        (30, "null", "{}"),
        (54, r#"["a","b"]"#, r#"{"strings":["a","b"]}"#),
        (72, r#"{"k":"v"}"#, r#"{"byString":{"k":"v"}}"#),
        (14, r#""text""#, r#"{"stringField":"text"}"#),
        (105, "null", r#"{"value":null}"#),
    ] {
        let mut wire = Vec::new();
        schema()
            .plans
            .read_json_field(schema().everything, number, json.as_bytes(), &mut wire)
            .expect("the JSON is right");

        assert_eq!(
            schema().oracle_write(&wire, crate::oracle::SPARSE).as_deref(),
            Some(expected)
        );
    }
}
