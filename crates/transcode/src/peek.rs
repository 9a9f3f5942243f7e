//! Looks into wire bytes for single top-level fields without reading the rest.

use crate::WireError;
use crate::wire::{Cursor, Payload, WireType, close_length, open_length, push_bytes, push_tag, push_varint};

/// The last value of a string or message field; nothing when it is absent or the bytes are broken.
pub fn last_bytes(wire: &[u8], number: u32) -> Option<&[u8]> {
    let mut cursor = Cursor::new(wire);
    let mut last = None;
    while let Some((found, payload)) = cursor.next_field().ok()? {
        if let Payload::Bytes(bytes) = payload
            && found == number
        {
            last = Some(bytes);
        }
    }
    last
}

/// The last value of a string field, when it is UTF-8.
pub fn last_text(wire: &[u8], number: u32) -> Option<&str> {
    std::str::from_utf8(last_bytes(wire, number)?).ok()
}

/// The message with nothing but the occurrences of one field.
pub(crate) fn only_field(wire: &[u8], number: u32) -> Result<Vec<u8>, WireError> {
    let mut cursor = Cursor::new(wire);
    let mut out = Vec::with_capacity(wire.len());
    while let Some((found, payload)) = cursor.next_field()? {
        if found == number {
            push_payload(&mut out, number, payload);
        }
    }
    Ok(out)
}

fn push_payload(out: &mut Vec<u8>, number: u32, payload: Payload<'_>) {
    match payload {
        Payload::Varint(value) => {
            push_tag(out, number, WireType::Varint);
            push_varint(out, value);
        }
        Payload::Fixed32(value) => {
            push_tag(out, number, WireType::Fixed32);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Payload::Fixed64(value) => {
            push_tag(out, number, WireType::Fixed64);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Payload::Bytes(bytes) => push_field(out, number, bytes),
        Payload::Group(bytes) => {
            push_tag(out, number, WireType::GroupStart);
            out.extend_from_slice(bytes);
            push_tag(out, number, WireType::GroupEnd);
        }
    }
}

/// Appends a string or bytes field.
pub fn push_field(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    push_tag(out, number, WireType::Bytes);
    push_bytes(out, content);
}

/// Appends a message field whose content `write` appends.
pub fn push_message(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    push_tag(out, number, WireType::Bytes);
    let start = open_length(out);
    write(out);
    close_length(out, start);
}

#[cfg(test)]
mod tests {
    use super::{last_bytes, last_text, push_field, push_message};

    #[test]
    fn the_last_one_counts() {
        let mut wire = Vec::new();
        push_field(&mut wire, 1, b"first");
        push_message(&mut wire, 2, |out| push_field(out, 1, &[b'x'; 300]));
        push_field(&mut wire, 1, b"second");

        assert_eq!(last_text(&wire, 1), Some("second"));
        assert_eq!(last_text(&wire, 3), None);
        assert_eq!(last_bytes(&wire, 2).map(<[u8]>::len), Some(303));
    }

    #[test]
    fn broken_bytes_hold_nothing() {
        assert_eq!(last_text(&[0x0a, 9, b'x'], 1), None);
        assert_eq!(last_text(&[0x0a, 1, 0xff], 1), None);
    }
}
