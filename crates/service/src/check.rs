//! Checks of request fields that every service makes the same way.

use crate::status::Violation;

/// Refuses U+0000, which Postgres cannot store, and text of more than `max_bytes` bytes.
pub fn text(field: &str, value: &str, max_bytes: usize) -> Option<Violation> {
    if value.len() > max_bytes {
        return Some(Violation::new(
            field,
            format!("must be at most {max_bytes} bytes, is {}", value.len()),
        ));
    }
    if value.contains('\0') {
        return Some(Violation::new(field, "must not contain the character U+0000"));
    }
    None
}

/// Like [`text`], and refuses text that is empty or only white space.
pub fn required_text(field: &str, value: &str, max_bytes: usize) -> Option<Violation> {
    if value.trim().is_empty() {
        return Some(Violation::new(field, "must not be empty"));
    }
    text(field, value, max_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_within_the_limit_passes() {
        assert_eq!(text("title", "", 4), None);
        assert_eq!(text("title", "four", 4), None);
    }

    #[test]
    fn the_limit_counts_bytes() {
        let violation = text("title", "äöü", 5).unwrap();

        assert_eq!(violation, Violation::new("title", "must be at most 5 bytes, is 6"));
    }

    #[test]
    fn nul_is_refused() {
        let violation = text("note", "a\0b", 10).unwrap();

        assert_eq!(violation.description, "must not contain the character U+0000");
    }

    #[test]
    fn required_text_is_more_than_white_space() {
        assert!(required_text("name", " \t", 10).is_some());
        assert!(required_text("name", "", 10).is_some());
        assert!(required_text("name", "x", 10).is_none());
    }
}
