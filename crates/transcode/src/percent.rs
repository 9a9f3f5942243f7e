//! Percent-decoding of path segments and query strings.

use std::borrow::Cow;

/// Which escapes stay as they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// A value of one path segment: everything is decoded.
    Segment,
    /// A value of several segments: `%2F` stays, so that it differs from the slash between segments.
    Segments,
    /// A name or value of a query, where `+` is a space.
    Query,
}

/// The decoded text, or nothing when an escape is broken or the result is not UTF-8.
pub(crate) fn decode(text: &str, place: Place) -> Option<Cow<'_, str>> {
    let escaped = |byte: u8| byte == b'%' || (byte == b'+' && place == Place::Query);
    if !text.bytes().any(escaped) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' if place == Place::Query => decoded.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_first_chunk::<2>()?;
                rest = after;
                match hex(digits[0])? << 4 | hex(digits[1])? {
                    b'/' if place == Place::Segments => decoded.extend([b'%', digits[0], digits[1]]),
                    byte => decoded.push(byte),
                }
            }
            byte => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::{Place, decode};

    #[test]
    fn a_segment_is_decoded_whole() {
        assert_eq!(decode("a%2Fb%20c+d", Place::Segment).as_deref(), Some("a/b c+d"));
        assert_eq!(decode("plain", Place::Segment).as_deref(), Some("plain"));
    }

    #[test]
    fn several_segments_keep_the_escaped_slash_in_its_own_case() {
        assert_eq!(
            decode("a%2Fb/c%2fd%3Ae", Place::Segments).as_deref(),
            Some("a%2Fb/c%2fd:e")
        );
    }

    #[test]
    fn a_query_has_plus_as_space() {
        assert_eq!(
            decode("rust+async%2Bawait", Place::Query).as_deref(),
            Some("rust async+await")
        );
    }

    #[test]
    fn broken_escapes_and_bytes_that_are_not_utf_8_are_refused() {
        for text in ["%", "%4", "%zz", "%ff", "a%C3"] {
            assert_eq!(decode(text, Place::Segment), None, "{text}");
        }
    }
}
