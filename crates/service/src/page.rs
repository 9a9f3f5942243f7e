//! Pages of lists (AIP-158): sizes with a limit, and opaque tokens that are bound to their query.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use crate::status::Violation;

const FINGERPRINT_BYTES: usize = 8;
/// A cursor holds a few short values; what is longer was not made here.
const MAX_TOKEN_BYTES: usize = 4096;

/// The page size to use: `default` when none is asked for, never more than `max`.
pub fn page_size(requested: i32, default: i64, max: i64) -> Result<i64, Violation> {
    match i64::from(requested) {
        0 => Ok(default),
        size if size < 0 => Err(Violation::new("page_size", "must not be negative")),
        size => Ok(size.min(max)),
    }
}

/// A token that continues the query after `cursor`. `query` is everything that must stay the same between pages.
pub fn encode<C: Serialize>(query: &[&str], cursor: &C) -> String {
    let mut bytes = fingerprint(query).to_vec();
    serde_json::to_writer(&mut bytes, cursor).expect("cursors are plain structs, which JSON can write");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The cursor in a token: none for the first page, a violation when the token is of another query or not ours.
pub fn decode<C: DeserializeOwned>(token: &str, query: &[&str]) -> Result<Option<C>, Violation> {
    if token.is_empty() {
        return Ok(None);
    }
    let violation = || Violation::new("page_token", "must be the token of the page before, of the same query");
    if token.len() > MAX_TOKEN_BYTES {
        return Err(violation());
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| violation())?;
    let cursor = bytes.strip_prefix(&fingerprint(query)).ok_or_else(violation)?;
    serde_json::from_slice(cursor).map(Some).map_err(|_| violation())
}

/// Lengths are hashed too, so that `["ab", "c"]` and `["a", "bc"]` differ.
fn fingerprint(query: &[&str]) -> [u8; FINGERPRINT_BYTES] {
    let mut text = Vec::new();
    for part in query {
        text.extend_from_slice(&part.len().to_le_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    let hash = digest(&SHA256, &text);
    let mut short = [0; FINGERPRINT_BYTES];
    short.copy_from_slice(&hash.as_ref()[..FINGERPRINT_BYTES]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_default_and_a_limit() {
        assert_eq!(page_size(0, 20, 100), Ok(20));
        assert_eq!(page_size(7, 20, 100), Ok(7));
        assert_eq!(page_size(i32::MAX, 20, 100), Ok(100));
        assert_eq!(page_size(-1, 20, 100).unwrap_err().field, "page_size");
    }

    #[test]
    fn a_token_gives_its_cursor_back() {
        let token = encode(&["owner", "rust"], &("2026-11-23", 5));

        assert_eq!(
            decode(&token, &["owner", "rust"]),
            Ok(Some(("2026-11-23".to_owned(), 5)))
        );
    }

    #[test]
    fn no_token_is_the_first_page() {
        assert_eq!(decode::<u8>("", &["owner"]), Ok(None));
    }

    #[test]
    fn tokens_of_other_queries_and_other_origin_are_violations() {
        let token = encode(&["ab", "c"], &5);

        for (token, query) in [
            (token.as_str(), ["a", "bc"]),
            ("AAAA", ["ab", "c"]),
            ("not base64!", ["ab", "c"]),
            (&encode(&["ab", "c"], &"text"), ["ab", "c"]),
            (&"A".repeat(5000), ["ab", "c"]),
        ] {
            assert_eq!(decode::<u8>(token, &query).unwrap_err().field, "page_token", "{token}");
        }
    }
}
