//! Bytes to text: finds out the encoding from the first bytes, then decodes chunk by chunk, marking what cannot be read.

use encoding_rs::{DecoderResult, Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, X_USER_DEFINED};

use super::sniff;
use crate::failure::Failure;

/// How much is looked at before the encoding is decided.
const WINDOW_BYTES: usize = 4096;

/// How much text is handed on at once.
const OUTPUT_BYTES: usize = 16 * 1024;

/// A piece of the file as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    /// Bytes that are no text in this encoding.
    Malformed,
    /// The character U+0000, which no database takes.
    Nul,
}

pub(crate) struct Decoder {
    window: Vec<u8>,
    decoder: Option<encoding_rs::Decoder>,
    output: String,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            window: Vec::new(),
            decoder: None,
            output: String::with_capacity(OUTPUT_BYTES),
        }
    }

    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(Piece<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if self.decoder.is_some() {
            return self.decode(bytes, false, take);
        }
        let (head, rest) = bytes.split_at(bytes.len().min(WINDOW_BYTES - self.window.len()));
        self.window.extend_from_slice(head);
        if self.window.len() == WINDOW_BYTES {
            self.open(take)?;
            self.decode(rest, false, take)?;
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self, take: &mut impl FnMut(Piece<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
        if self.decoder.is_none() {
            self.open(take)?;
        }
        self.decode(&[], true, take)
    }

    fn open(&mut self, take: &mut impl FnMut(Piece<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
        let window = std::mem::take(&mut self.window);
        sniff::refuse_other_formats(&window)?;
        self.decoder = Some(encoding_of(&window).new_decoder_with_bom_removal());
        self.decode(&window, false, take)
    }

    fn decode(
        &mut self,
        mut bytes: &[u8],
        last: bool,
        take: &mut impl FnMut(Piece<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Some(decoder) = &mut self.decoder else {
            return Ok(());
        };
        loop {
            self.output.clear();
            let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut self.output, last);
            bytes = &bytes[read..];
            hand_on(&self.output, take)?;
            match result {
                DecoderResult::InputEmpty => return Ok(()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(_, _) => take(Piece::Malformed)?,
            }
        }
    }
}

fn hand_on(text: &str, take: &mut impl FnMut(Piece<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
    for (index, part) in text.split('\0').enumerate() {
        if index > 0 {
            take(Piece::Nul)?;
        }
        if !part.is_empty() {
            take(Piece::Text(part))?;
        }
    }
    Ok(())
}

/// By byte order mark, by the zero bytes of UTF-16, by what the file says of itself; else UTF-8.
fn encoding_of(window: &[u8]) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(window) {
        return encoding;
    }
    sniff::utf_16_by_zero_bytes(window).unwrap_or_else(|| declared(window).unwrap_or(UTF_8))
}

/// The charset of a META tag. One that says UTF-16 cannot be right where it could be read byte by byte.
fn declared(window: &[u8]) -> Option<&'static Encoding> {
    let head = window.to_ascii_lowercase();
    let name = b"charset";
    let start = head.windows(name.len()).position(|part| part == name)? + name.len();
    let value = head[start..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let value = value
        .strip_prefix(b"\"")
        .or_else(|| value.strip_prefix(b"'"))
        .unwrap_or(value);
    let end = value
        .iter()
        .position(|byte| b"\"'> ;/\r\n\t".contains(byte))
        .unwrap_or(value.len());
    let encoding = Encoding::for_label(&value[..end])?;
    let unfit = [UTF_16LE, UTF_16BE, REPLACEMENT, X_USER_DEFINED].contains(&encoding);
    (!unfit).then_some(encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> String {
        let mut text = String::new();
        let mut take = |piece: Piece<'_>| {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Malformed => text.push('\u{FFFD}'),
                Piece::Nul => text.push('␀'),
            }
            Ok(())
        };
        let mut decoder = Decoder::new();
        for byte in bytes {
            decoder.push(&[*byte], &mut take).unwrap();
        }
        decoder.finish(&mut take).unwrap();
        text
    }

    fn utf_16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn utf_8_is_read_with_and_without_mark() {
        assert_eq!(decoded("<a>é漢</a>".as_bytes()), "<a>é漢</a>");
        assert_eq!(decoded("\u{FEFF}<a>é</a>".as_bytes()), "<a>é</a>");
    }

    #[test]
    fn utf_16_is_read_with_and_without_mark() {
        let text = "<!DOCTYPE NETSCAPE-Bookmark-file-1>\r\n<DL><p><DT><A>é</A>";

        assert_eq!(decoded(&utf_16(text, u16::to_le_bytes)), text);
        assert_eq!(decoded(&utf_16(text, u16::to_be_bytes)), text);
        assert_eq!(decoded(&utf_16(&format!("\u{FEFF}{text}"), u16::to_le_bytes)), text);
        assert_eq!(decoded(&utf_16(&format!("\u{FEFF}{text}"), u16::to_be_bytes)), text);
    }

    #[test]
    fn a_declared_charset_is_used() {
        let latin = b"<META CONTENT=\"text/html; charset=windows-1252\"><a>caf\xE9 \x93x\x94</a>";
        let japanese = b"<meta charset='Shift_JIS'><a>\x93\xFA\x96\x7B</a>";

        assert!(decoded(latin).ends_with("<a>café “x”</a>"));
        assert!(decoded(japanese).ends_with("<a>日本</a>"));
    }

    #[test]
    fn a_charset_that_cannot_be_is_not_believed() {
        assert!(decoded("<meta charset=utf-16><a>é</a>".as_bytes()).ends_with("<a>é</a>"));
        assert!(decoded("<meta charset=klingon><a>é</a>".as_bytes()).ends_with("<a>é</a>"));
        assert!(decoded("charset".as_bytes()).ends_with("charset"));
    }

    #[test]
    fn what_cannot_be_read_is_marked_and_stops_nothing() {
        assert_eq!(decoded(b"<a>a\xFFb\xC3"), "<a>a\u{FFFD}b\u{FFFD}");
        assert_eq!(decoded(b"<a>a\0b"), "<a>a␀b");
    }
}
