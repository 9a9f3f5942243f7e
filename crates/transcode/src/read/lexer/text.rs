//! JSON strings: plain text, escapes, surrogate pairs.

use std::borrow::Cow;

use super::Lexer;
use crate::read::failure::Failure;

impl<'j> Lexer<'j> {
    /// A string, which begins here; borrowed unless it has escapes.
    pub(in crate::read) fn text(&mut self) -> Result<Cow<'j, str>, Failure> {
        self.position += 1;
        let plain = self.plain_text()?;
        if self.input[self.position] == b'"' {
            self.position += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        while self.input[self.position] == b'\\' {
            self.position += 1;
            let character = self.escape()?;
            text.push(character);
            text.push_str(self.plain_text()?);
        }
        self.position += 1;
        Ok(Cow::Owned(text))
    }

    /// Text up to the next quote or backslash, which is there when this returns.
    #[inline]
    fn plain_text(&mut self) -> Result<&'j str, Failure> {
        let rest = &self.input[self.position..];
        let Some(length) = memchr::memchr2(b'"', b'\\', rest) else {
            return Err(Failure::syntax(self.input.len(), "string does not end"));
        };
        let plain = &rest[..length];
        if let Some(control) = plain.iter().position(|&byte| byte < 0x20) {
            let description = "control characters in strings must be escaped";
            return Err(Failure::syntax(self.position + control, description));
        }
        self.position += length;
        std::str::from_utf8(plain).map_err(|_| Failure::rule("is not valid UTF-8"))
    }

    /// The character of an escape whose backslash has been read.
    fn escape(&mut self) -> Result<char, Failure> {
        let letter = self.input.get(self.position).copied();
        self.position += 1;
        match letter {
            Some(b'"') => Ok('"'),
            Some(b'\\') => Ok('\\'),
            Some(b'/') => Ok('/'),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => self.unicode_escape(),
            _ => Err(Failure::syntax(self.position - 1, "unknown escape")),
        }
    }

    fn unicode_escape(&mut self) -> Result<char, Failure> {
        let first = self.four_hex_digits()?;
        let code = match first {
            0xd800..0xdc00 if self.input[self.position..].starts_with(b"\\u") => {
                self.position += 2;
                match self.four_hex_digits()? {
                    second @ 0xdc00..0xe000 => 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => first,
                }
            }
            _ => first,
        };
        char::from_u32(code).ok_or_else(|| Failure::rule("has a \\u escape that is half of a surrogate pair"))
    }

    fn four_hex_digits(&mut self) -> Result<u32, Failure> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self
                .input
                .get(self.position)
                .and_then(|&byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(Failure::syntax(self.position, "expected four hexadecimal digits"));
            };
            value = value << 4 | digit;
            self.position += 1;
        }
        Ok(value)
    }
}
