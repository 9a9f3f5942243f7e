//! Makes wire bytes of a message type out of arbitrary choices, which proptest can shrink.

use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

#[derive(Clone, Copy)]
pub(crate) struct Style {
    /// Fields ascending and each once; else at random, repeated, split, with unknown ones between.
    pub(crate) ordered: bool,
    /// prost-reflect prints maps in random order, so that only maps of one key can be compared byte for byte.
    pub(crate) one_key: bool,
    /// Without what does not survive JSON: numbers of `NullValue` but zero, and long fractions, which serde_json rounds
    /// to a neighbour.
    pub(crate) plain: bool,
}

/// Choices taken from bytes; when they run out, each is zero.
pub(crate) struct Choices<'b> {
    rest: &'b [u8],
}

impl<'b> Choices<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((&byte, rest)) => {
                self.rest = rest;
                byte
            }
            None => 0,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % limit
    }

    /// Often small, sometimes an extreme.
    fn number(&mut self) -> u64 {
        match self.byte() % 8 {
            0 => 0,
            1 => u64::MAX,
            2 => i64::MIN as u64,
            3 => i32::MIN as i64 as u64,
            4 => u64::from(u32::MAX),
            5 => 1 << 53,
            _ => {
                let width = usize::from(self.byte() % 8) + 1;
                (0..width).fold(0, |number, _| number << 8 | u64::from(self.byte()))
            }
        }
    }

    fn double(&mut self, style: Style) -> f64 {
        const SPECIAL: [f64; 12] = [
            0.0,
            -0.0,
            1.0,
            0.1,
            1e16,
            1e-7,
            123456.789,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            1e21,
            -2.5,
        ];
        match self.byte() % 4 {
            _ if style.plain => f64::from(self.byte()) / 4.0 - 20.0,
            0..=2 => SPECIAL[self.below(SPECIAL.len())],
            _ => f64::from_bits((0..8).fold(0, |bits, _| bits << 8 | u64::from(self.byte()))),
        }
    }

    /// A double that JSON and wrappers take as it is.
    fn plain_double(&mut self, style: Style) -> f64 {
        let value = self.double(style);
        if value.is_finite() && value != 0.0 { value } else { 0.5 }
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 12] = [
            "",
            "a",
            "tag",
            "\"",
            "\\",
            "\n",
            "\u{0}",
            "\u{7f}",
            "ä",
            "漢字",
            "🦀",
            "</script>",
        ];
        (0..self.byte() % 6).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.byte() % 10).map(|_| self.byte()).collect()
    }
}

/// Wire bytes of a message. `depth` bounds how deep it goes.
pub(crate) fn message(choices: &mut Choices<'_>, message: &MessageDescriptor, style: Style, depth: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    match message.full_name() {
        "google.protobuf.Timestamp" => time(choices, -62_135_596_800, 253_402_300_799, &mut wire),
        "google.protobuf.Duration" => time(choices, 0, 315_576_000_000, &mut wire),
        "google.protobuf.FieldMask" => field_mask(choices, &mut wire),
        "google.protobuf.Any" => any(choices, message, style, depth, &mut wire),
        "google.protobuf.Empty" => {}
        _ if style.ordered => {
            for descriptor in message.fields() {
                if choices.byte() % 4 == 1 {
                    field(choices, &descriptor, style, depth, &mut wire);
                }
            }
        }
        _ => {
            let fields: Vec<_> = message.fields().collect();
            for _ in 0..choices.below(12) {
                unknown_field(choices, &mut wire);
                let chosen = &fields[choices.below(fields.len())];
                field(choices, chosen, style, depth, &mut wire);
            }
        }
    }
    wire
}

fn unknown_field(choices: &mut Choices<'_>, wire: &mut Vec<u8>) {
    const NUMBER: u32 = 9999;
    match choices.byte() % 16 {
        1 => varint(NUMBER, choices.number(), wire),
        2 => length_delimited(NUMBER, &choices.bytes(), wire),
        3 => {
            encode_key(NUMBER, WireType::StartGroup, wire);
            varint(1, 1, wire);
            encode_key(NUMBER, WireType::EndGroup, wire);
        }
        _ => {}
    }
}

fn field(choices: &mut Choices<'_>, field: &FieldDescriptor, style: Style, depth: usize, wire: &mut Vec<u8>) {
    let is_message = matches!(field.kind(), Kind::Message(_));
    if is_message && depth == 0 {
        return;
    }
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else { return };
        let count = if style.one_key { 1 } else { choices.below(4) };
        for _ in 0..count {
            map_entry(choices, field, &entry, style, depth, wire);
        }
    } else if field.is_list() {
        let is_packed =
            !is_message && !matches!(field.kind(), Kind::String | Kind::Bytes) && choices.byte().is_multiple_of(2);
        let count = choices.below(4);
        let mut run = Vec::new();
        for _ in 0..count {
            if !is_packed {
                encode_key(field.number(), field.kind().wire_type(), wire);
            }
            let target = if is_packed { &mut run } else { &mut *wire };
            value(choices, field, style, depth, target);
        }
        if is_packed {
            length_delimited(field.number(), &run, wire);
        }
    } else {
        encode_key(field.number(), field.kind().wire_type(), wire);
        value(choices, field, style, depth, wire);
    }
}

fn map_entry(
    choices: &mut Choices<'_>,
    map: &FieldDescriptor,
    entry: &MessageDescriptor,
    style: Style,
    depth: usize,
    wire: &mut Vec<u8>,
) {
    let mut content = Vec::new();
    if !style.one_key && choices.byte() % 8 != 1 {
        field(choices, &entry.map_entry_key_field(), style, depth, &mut content);
    }
    if choices.byte() % 8 != 1 {
        field(choices, &entry.map_entry_value_field(), style, depth, &mut content);
    }
    length_delimited(map.number(), &content, wire);
}

/// A value without its tag.
fn value(choices: &mut Choices<'_>, field: &FieldDescriptor, style: Style, depth: usize, wire: &mut Vec<u8>) {
    let owner = field.parent_message().full_name().to_owned();
    let is_plain = owner.starts_with("google.protobuf.");
    match field.kind() {
        Kind::Double if is_plain => wire.extend(choices.plain_double(style).to_le_bytes()),
        Kind::Double => wire.extend(choices.double(style).to_le_bytes()),
        Kind::Float if is_plain => wire.extend(((choices.number() % 1000) as f32 / 8.0 + 1.0).to_le_bytes()),
        Kind::Float => wire.extend((choices.double(style) as f32).to_le_bytes()),
        Kind::Fixed32 | Kind::Sfixed32 => wire.extend((choices.number() as u32).to_le_bytes()),
        Kind::Fixed64 | Kind::Sfixed64 => wire.extend(choices.number().to_le_bytes()),
        Kind::String => prefixed(choices.text().as_bytes(), wire),
        Kind::Bytes => prefixed(&choices.bytes(), wire),
        Kind::Enum(found) if style.plain && found.full_name() == "google.protobuf.NullValue" => wire.push(0),
        Kind::Enum(_) => encode_varint([0, 1, 2, 3, -5_i64 as u64, 1000, 77][choices.below(7)], wire),
        Kind::Message(inner) => prefixed(&message(choices, &inner, style, depth - 1), wire),
        Kind::Bool => encode_varint(u64::from(choices.byte() % 2), wire),
        Kind::Int32 | Kind::Sint32 | Kind::Uint32 | Kind::Int64 | Kind::Sint64 | Kind::Uint64 => {
            encode_varint(choices.number(), wire);
        }
    }
}

fn time(choices: &mut Choices<'_>, low: i64, high: i64, wire: &mut Vec<u8>) {
    const NANOS: [u64; 6] = [0, 1, 1_000, 1_000_000, 120_000_000, 999_999_999];
    let span = (high - low) as u64;
    varint(1, (low + (choices.number() % span) as i64) as u64, wire);
    varint(2, NANOS[choices.below(NANOS.len())], wire);
}

fn field_mask(choices: &mut Choices<'_>, wire: &mut Vec<u8>) {
    for _ in 0..choices.below(3) {
        let path = ["title", "note_text", "leaf.count_of_all", "*"][choices.below(4)];
        length_delimited(1, path.as_bytes(), wire);
    }
}

fn any(choices: &mut Choices<'_>, any: &MessageDescriptor, style: Style, depth: usize, wire: &mut Vec<u8>) {
    const TYPES: [&str; 4] = [
        "transcode.test.Leaf",
        "google.protobuf.Timestamp",
        "google.protobuf.Struct",
        "google.protobuf.Int64Value",
    ];
    let name = TYPES[choices.below(TYPES.len())];
    let inner = any.parent_pool().get_message_by_name(name).expect("it is in the pool");
    length_delimited(1, format!("type.googleapis.com/{name}").as_bytes(), wire);
    length_delimited(2, &message(choices, &inner, style, depth.saturating_sub(1)), wire);
}

fn varint(number: u32, value: u64, wire: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, wire);
    encode_varint(value, wire);
}

pub(crate) fn length_delimited(number: u32, content: &[u8], wire: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, wire);
    prefixed(content, wire);
}

fn prefixed(content: &[u8], wire: &mut Vec<u8>) {
    encode_varint(content.len() as u64, wire);
    wire.extend_from_slice(content);
}
