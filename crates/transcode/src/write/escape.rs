//! JSON strings: quotes and escapes, as serde_json writes them.

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Appends `text` in quotes.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let (plain, special) = rest.split_at(plain_length(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else {
            break;
        };
        push_escaped(out, byte);
        rest = after;
    }
    out.push(b'"');
}

/// How many bytes from the front need no escape, found eight at a time.
#[inline]
fn plain_length(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let checked = words.len() * 8;
    let tail = bytes[checked..].iter().position(|&byte| needs_escape(byte));
    tail.map_or(bytes.len(), |position| checked + position)
}

/// Sets the high bit of bytes that need an escape. A borrow can set it for a byte above such a byte too, so only the
/// lowest one set is certain.
#[inline]
fn special_bytes(word: u64) -> u64 {
    let quotes = word ^ (LOW_BITS * u64::from(b'"'));
    let backslashes = word ^ (LOW_BITS * u64::from(b'\\'));
    let control = word.wrapping_sub(LOW_BITS * 0x20) & !word;
    let quote = quotes.wrapping_sub(LOW_BITS) & !quotes;
    let backslash = backslashes.wrapping_sub(LOW_BITS) & !backslashes;
    (control | quote | backslash) & HIGH_BITS
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cold]
fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_is_escaped_as_serde_json_does(text in "[\\x00-\\x7fäß漢🦀\"\\\\]{0,40}") {
            let mut out = Vec::new();

            push_text(&mut out, &text);

            prop_assert_eq!(out, serde_json::to_vec(&text).expect("text is always JSON"));
        }
    }
}
