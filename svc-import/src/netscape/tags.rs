//! The TAGS attribute: a list with commas, or with spaces where there is no comma.

use std::collections::HashSet;

use super::text::Cut;

const TAG_LIMIT_BYTES: usize = 64;
const TAGS_LIMIT: usize = 100;

/// The tags of one link; `complete` tells whether all could be kept as they were.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tags {
    pub(crate) names: Vec<String>,
    pub(crate) complete: bool,
}

pub(crate) fn read(text: &str) -> Tags {
    let parts: Vec<&str> = if text.contains(',') {
        text.split(',').collect()
    } else {
        text.split_whitespace().collect()
    };
    let mut seen = HashSet::new();
    let mut tags = Tags {
        names: Vec::new(),
        complete: true,
    };
    for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        let Cut { text: name, was_cut } = Cut::new(part, TAG_LIMIT_BYTES, false);
        if !seen.insert(name.to_lowercase()) {
            continue;
        }
        if tags.names.len() == TAGS_LIMIT {
            tags.complete = false;
            break;
        }
        tags.complete &= !was_cut;
        tags.names.push(name);
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_separate_and_without_them_spaces_do() {
        assert_eq!(
            read("rust, machine learning,,web ").names,
            ["rust", "machine learning", "web"]
        );
        assert_eq!(read("public hello\tworld").names, ["public", "hello", "world"]);
        assert_eq!(read("@font-face").names, ["@font-face"]);
        assert!(read(" , ").names.is_empty());
    }

    #[test]
    fn a_tag_counts_once_whatever_its_case() {
        assert_eq!(read("Rust,rust,RUST").names, ["Rust"]);
    }

    #[test]
    fn too_long_and_too_many_are_cut() {
        let long = read(&"x".repeat(65));
        let many = read(&(0..101).map(|number| number.to_string()).collect::<Vec<_>>().join(","));

        assert_eq!((long.names[0].len(), long.complete), (64, false));
        assert_eq!((many.names.len(), many.complete), (100, false));
    }
}
