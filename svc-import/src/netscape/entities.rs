//! Character references: `&amp;`, `&#8230;`, `&#x2026;`.

/// The longest reference that is looked at, from `&` to `;`; HTML's longest name has 32 characters.
const LONGEST_REFERENCE_BYTES: usize = 34;

/// Decodes every reference once. What is no reference stays as it is, so that `?a=1&copy=2` in a URL survives.
pub(crate) fn decode(text: &str) -> String {
    decode_with(text, any_reference)
}

/// Decodes every reference once, and numeric ones that were escaped twice a second time.
///
/// Feeds and bookmarklets leave `&amp;#8230;` in titles; nobody means the seven characters. A name, such as
/// `&amp;nbsp;`, is decoded once only: titles of pages about HTML do mean `&nbsp;`.
pub(crate) fn decode_prose(text: &str) -> String {
    let once = decode(text);
    if text.contains("&amp;#") {
        decode_with(&once, numeric_reference)
    } else {
        once
    }
}

fn decode_with(text: &str, read: impl Fn(&str) -> Option<String>) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(ampersand) = rest.find('&') {
        decoded.push_str(&rest[..ampersand]);
        rest = &rest[ampersand..];
        let found = reference(rest).and_then(|reference| Some((reference.len(), read(reference)?)));
        let (used, character) = found.unwrap_or_else(|| (1, "&".to_owned()));
        decoded.push_str(&character);
        rest = &rest[used..];
    }
    decoded.push_str(rest);
    decoded
}

/// What looks like a reference at the start of `text`, with its `&` and `;`.
fn reference(text: &str) -> Option<&str> {
    let end = text
        .bytes()
        .take(LONGEST_REFERENCE_BYTES)
        .position(|byte| byte == b';')?;
    Some(&text[..=end])
}

fn any_reference(reference: &str) -> Option<String> {
    if reference.starts_with("&#") {
        return numeric_reference(reference);
    }
    let decoded = html_escape::decode_html_entities(reference);
    (decoded != reference).then(|| decoded.into_owned())
}

fn numeric_reference(reference: &str) -> Option<String> {
    let digits = reference.strip_prefix("&#")?.strip_suffix(';')?;
    let (digits, radix) = match digits.strip_prefix(['x', 'X']) {
        Some(hexadecimal) => (hexadecimal, 16),
        None => (digits, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    // Too many digits for a number is no character either: U+FFFD, as in HTML.
    let number = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    Some(character(number).to_string())
}

/// HTML reads 0x80 to 0x9F as windows-1252, because old editors wrote `&#146;` for an apostrophe.
fn character(number: u32) -> char {
    match number {
        0 => char::REPLACEMENT_CHARACTER,
        0x80..=0x9F => windows_1252(number),
        _ => char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

fn windows_1252(number: u32) -> char {
    let bytes = u8::try_from(number).map(|byte| [byte]).unwrap_or_default();
    let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(&bytes);
    text.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_decoded_once() {
        assert_eq!(
            decode("a &amp; b &lt;c&gt; &quot;d&quot; &#39;e&#x27; &eacute;&hellip;"),
            "a & b <c> \"d\" 'e' é…"
        );
        assert_eq!(decode("&amp;amp;"), "&amp;");
        assert_eq!(decode("&amp;#39;"), "&#39;");
    }

    #[test]
    fn what_is_no_reference_stays() {
        for text in [
            "&",
            "&&",
            "a & b; c",
            "?a=1&copy=2",
            "&nosuchname;",
            "&#;",
            "&#x;",
            "&#12a;",
            "&#-3;",
            "&é;",
        ] {
            assert_eq!(decode(text), text);
        }
    }

    #[test]
    fn numbers_that_are_no_characters_are_replaced() {
        for text in ["&#0;", "&#xD800;", "&#x110000;", "&#99999999999999999999;"] {
            assert_eq!(decode(text), "\u{FFFD}", "{text}");
        }
    }

    #[test]
    fn numbers_of_windows_1252_are_read_as_such() {
        assert_eq!(decode("it&#146;s &#128;5"), "it\u{2019}s €5");
    }

    #[test]
    fn in_prose_a_number_escaped_twice_is_decoded_and_a_name_is_kept() {
        assert_eq!(decode_prose("figure out&amp;#8230;"), "figure out…");
        assert_eq!(decode_prose("Tom &amp;amp; Jerry &amp;nbsp;"), "Tom &amp; Jerry &nbsp;");
        assert_eq!(decode_prose("plain"), "plain");
    }
}
