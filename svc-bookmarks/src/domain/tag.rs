//! Tags: case is kept, and does not tell two apart.

use service::status::Violation;

use crate::domain::limits;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

impl Tag {
    pub fn parse(field: &str, text: &str) -> Result<Tag, Violation> {
        if let Some(violation) = service::check::required_text(field, text, limits::TAG_BYTES) {
            return Err(violation);
        }
        // A control character would split the list in which tags travel to Postgres.
        if text.trim().chars().any(char::is_control) {
            return Err(Violation::new(field, "must not contain control characters"));
        }
        Ok(Tag(text.trim().to_owned()))
    }

    /// The nearest tag that an imported text can be; none when nothing is left of it.
    pub fn imported(text: &str) -> Option<Tag> {
        let visible: String = text.chars().filter(|character| !character.is_control()).collect();
        let cut = super::cut(visible.trim(), limits::TAG_BYTES).trim_end();
        (!cut.is_empty()).then(|| Tag(cut.to_owned()))
    }

    /// A tag that was parsed when it was saved.
    pub fn from_record(text: String) -> Tag {
        Tag(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What tells tags apart.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

/// The tags of both, each once, in their order; the first spelling stays.
pub fn united_tags(tags: impl IntoIterator<Item = Tag>) -> Vec<Tag> {
    let mut united: Vec<Tag> = Vec::new();
    for tag in tags {
        if !united.iter().any(|known| known.key() == tag.key()) {
            united.push(tag);
        }
    }
    united
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_tell_tags_apart() {
        let tags = ["Rust", "rust", "ÉTÉ", "été", "go"].map(|text| Tag::parse("tags", text).unwrap());

        let united: Vec<String> = united_tags(tags)
            .into_iter()
            .map(|tag| tag.as_str().to_owned())
            .collect();

        assert_eq!(united, ["Rust", "ÉTÉ", "go"]);
    }

    #[test]
    fn wrong_tags_are_refused() {
        for text in ["", "  ", "a\u{1f}b", "a\0b", &"x".repeat(65)] {
            assert!(Tag::parse("tags", text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn imported_tags_are_made_to_fit() {
        assert_eq!(Tag::imported(" a\tb\0 "), Some(Tag("ab".to_owned())));
        assert_eq!(Tag::imported(&"ä".repeat(40)).map(|tag| tag.as_str().len()), Some(64));
        assert_eq!(Tag::imported(" \0 "), None);
    }
}
