//! Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07): the header is the request's `request_id` (AIP-155), which
//! the service remembers with its answer.

use std::borrow::Cow;

use actix_web::http::header::{HeaderMap, HeaderName};
use transcode::peek;

use crate::problem::Problem;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const MAX_BYTES: usize = 128;

/// Appends the key to a request whose message has its field under `number`. Reads are idempotent anyway, and take no notice.
pub(crate) fn push_key(
    headers: &HeaderMap,
    http_method: &str,
    number: Option<u32>,
    wire: &mut Vec<u8>,
) -> Result<(), Problem> {
    let mut lines = headers.get_all(IDEMPOTENCY_KEY);
    let Some(line) = lines.next().filter(|_| http_method != "GET") else {
        return Ok(());
    };
    let number = number.ok_or_else(not_supported)?;
    let key = line.to_str().ok().filter(|_| lines.next().is_none()).and_then(parse);
    let key = key.ok_or_else(malformed)?;
    let said = peek::last_text(wire, number);
    if said.is_some_and(|said| !said.is_empty() && said != key) {
        return Err(contradiction());
    }
    peek::push_field(wire, number, key.as_bytes());
    Ok(())
}

/// The key in a header: a string of structured fields (RFC 9651), or, as many callers send it, a bare one.
fn parse(header: &str) -> Option<Cow<'_, str>> {
    let header = header.trim();
    let key = match header.strip_prefix('"') {
        Some(rest) => unquoted(rest)?,
        None if header.bytes().all(is_bare) => Cow::Borrowed(header),
        None => return None,
    };
    (!key.is_empty() && key.len() <= MAX_BYTES).then_some(key)
}

/// What follows an opening quote, up to the closing one, which must be the end.
fn unquoted(rest: &str) -> Option<Cow<'_, str>> {
    let inside = rest.strip_suffix('"')?;
    if !inside.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        return None;
    }
    if !inside.contains(['"', '\\']) {
        return Some(Cow::Borrowed(inside));
    }
    let mut key = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            other => key.push(other),
        }
    }
    Some(Cow::Owned(key))
}

/// Characters of UUIDs, tokens and base64; none that would make it something else in structured fields.
fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/+=".contains(&byte)
}

fn malformed() -> Problem {
    let detail =
        "Idempotency-Key is no string of 1 to 128 characters, such as \"8e03978e-40d5-43dd-bc93-6894a57f9324\"";
    Problem::bad_request("INVALID_IDEMPOTENCY_KEY", detail)
}

fn not_supported() -> Problem {
    let detail = "this call cannot be made to happen once by an Idempotency-Key";
    Problem::bad_request("IDEMPOTENCY_KEY_NOT_SUPPORTED", detail)
}

fn contradiction() -> Problem {
    let detail = "Idempotency-Key and requestId are not the same";
    Problem::bad_request("INVALID_IDEMPOTENCY_KEY", detail)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn quoted_and_bare_keys_are_read() {
        assert_eq!(parse("\"a b\"").as_deref(), Some("a b"));
        assert_eq!(parse(" \"a\\\"b\\\\c\" ").as_deref(), Some("a\"b\\c"));
        let uuid = "8e03978e-40d5-43dd-bc93-6894a57f9324";
        assert_eq!(parse(uuid).as_deref(), Some(uuid));
        assert_eq!(parse("YWJj+/==").as_deref(), Some("YWJj+/=="));
        assert_eq!(parse(&"k".repeat(128)).map(|key| key.len()), Some(128));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "k".repeat(129);
        for header in [
            "",
            "\"\"",
            "\"",
            "\"a",
            "a\"",
            "\"a\"b\"",
            "\"a\\\"",
            "\"a\\n\"",
            "a b",
            "a, b",
            "\"a\"; b=1",
            "é",
            "\"é\"",
            &long,
        ] {
            assert_eq!(parse(header), None, "{header}");
        }
    }
}
