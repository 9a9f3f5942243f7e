//! Wire bytes that hold no message are an error, never a panic, and leave the output as it was.

use transcode::WireError;

use crate::generate::length_delimited;
use crate::oracle::{FULL, SPARSE, schema};

fn error(wire: &[u8]) -> WireError {
    let mut out = b"before".to_vec();
    let error = schema()
        .plans
        .write_json(schema().everything, wire, FULL, &mut out)
        .expect_err("the wire is broken");
    assert_eq!(out, b"before");
    assert!(schema().decode(wire).is_none(), "prost-reflect refuses it too");
    error
}

fn nested(levels: usize) -> Vec<u8> {
    (0..levels).fold(Vec::new(), |inner, _| {
        let mut outer = Vec::new();
        length_delimited(31, &inner, &mut outer);
        outer
    })
}

#[test]
fn truncated_wire_is_refused() {
    assert_eq!(error(&[0x18]), WireError::Truncated);
    assert_eq!(error(&[0x18, 0x80]), WireError::Truncated);
    assert_eq!(error(&[0x72, 5, b'a']), WireError::Truncated);
    assert_eq!(error(&[0x09, 0, 0, 0]), WireError::Truncated);
    assert_eq!(error(&[0x15, 0, 0, 0]), WireError::Truncated);
    assert_eq!(error(&[0xca, 0x02, 3, 0, 0, 0]), WireError::Truncated);
}

#[test]
fn a_varint_that_does_not_end_is_refused() {
    assert_eq!(error(&[[0x18].as_slice(), &[0xff; 11]].concat()), WireError::BadVarint);
    assert_eq!(
        error(&[[0x18].as_slice(), &[0xff; 9], &[2]].concat()),
        WireError::BadVarint
    );
}

#[test]
fn tags_that_do_not_exist_are_refused() {
    assert_eq!(error(&[0x00, 0]), WireError::BadTag);
    assert_eq!(error(&[0x1f, 0]), WireError::BadTag);
    assert_eq!(error(&[0xff, 0xff, 0xff, 0xff, 0x7f, 0]), WireError::BadTag);
}

#[test]
fn another_wire_type_than_declared_is_refused() {
    assert_eq!(error(&[0x1a, 1, 0]), WireError::WrongWireType);
    assert_eq!(error(&[0x70, 1]), WireError::WrongWireType);
    assert_eq!(error(&[0xa8, 0x06, 1]), WireError::WrongWireType);
}

#[test]
fn bad_utf8_is_refused_in_strings_and_in_keys_of_maps() {
    assert_eq!(error(&[0x72, 1, 0xff]), WireError::BadUtf8);
    assert_eq!(error(&[0x72, 1, 0xff, 0x72, 0]), WireError::BadUtf8);
    assert_eq!(error(&[0xc2, 0x04, 3, 0x0a, 1, 0xff]), WireError::BadUtf8);
}

#[test]
fn groups_that_do_not_end_or_end_wrongly_are_refused() {
    assert_eq!(error(&[0x8b, 0x7d]), WireError::Truncated);
    assert_eq!(error(&[0x8b, 0x7d, 0x94, 0x7d]), WireError::BadGroup);
    assert_eq!(error(&[0x8c, 0x7d]), WireError::BadGroup);
}

#[test]
fn a_hundred_levels_are_written_and_one_more_is_refused() {
    assert!(schema().write(&nested(100), SPARSE).is_ok());

    assert_eq!(error(&nested(101)), WireError::TooDeep);
}

#[test]
fn times_outside_their_range_are_refused() {
    let seconds_of_year_10000 = [0x08, 0x80, 0xdc, 0xea, 0xf7, 0xb5, 0x07];
    let mut timestamp = Vec::new();
    length_delimited(101, &seconds_of_year_10000, &mut timestamp);
    let second_and_minus_one_nano = [&[0x08, 1, 0x10][..], &[0xff; 9], &[1]].concat();
    let mut duration = Vec::new();
    length_delimited(102, &second_and_minus_one_nano, &mut duration);

    for wire in [timestamp, duration] {
        assert_eq!(schema().write(&wire, SPARSE), Err(WireError::TimeOutOfRange));
    }
}

#[test]
fn a_value_that_json_cannot_hold_is_refused() {
    let mut value = vec![0x11];
    value.extend(f64::NAN.to_le_bytes());
    let mut wire = Vec::new();
    length_delimited(105, &value, &mut wire);

    assert_eq!(schema().write(&wire, SPARSE), Err(WireError::BadValue));
}

#[test]
fn a_mask_whose_path_camel_case_would_change_is_refused() {
    let mut mask = Vec::new();
    length_delimited(1, b"fooBar", &mut mask);
    let mut wire = Vec::new();
    length_delimited(103, &mask, &mut wire);

    assert_eq!(schema().write(&wire, SPARSE), Err(WireError::BadFieldMask));
}
