//! Paths of collections: names from the outermost in.

use aws_lc_rs::digest::{SHA256, digest};
use service::status::Violation;

use crate::domain::{cut, limits, without_nul};

/// What a folder without a name is called.
const UNNAMED: &str = "(unnamed)";

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CollectionPath(Vec<String>);

impl CollectionPath {
    pub fn parse(field: &str, names: Vec<String>) -> Result<CollectionPath, Vec<Violation>> {
        if names.is_empty() || names.len() > limits::COLLECTION_DEPTH {
            let rule = format!("must have 1 to {} names, has {}", limits::COLLECTION_DEPTH, names.len());
            return Err(vec![Violation::new(format!("{field}.names"), rule)]);
        }
        let violations: Vec<Violation> = names
            .iter()
            .enumerate()
            .filter_map(|(index, name)| {
                let field = format!("{field}.names[{index}]");
                service::check::required_text(&field, name, limits::COLLECTION_NAME_BYTES)
            })
            .collect();
        if violations.is_empty() {
            Ok(CollectionPath(names))
        } else {
            Err(violations)
        }
    }

    /// The nearest path that imported folders can be; none outside of all folders.
    pub fn imported(names: &[String]) -> Option<CollectionPath> {
        let names: Vec<String> = names
            .iter()
            .take(limits::COLLECTION_DEPTH)
            .map(|name| {
                let name = without_nul(name);
                let name = cut(&name, limits::COLLECTION_NAME_BYTES);
                if name.trim().is_empty() {
                    UNNAMED.to_owned()
                } else {
                    name.to_owned()
                }
            })
            .collect();
        (!names.is_empty()).then_some(CollectionPath(names))
    }

    /// A path that was parsed when it was saved.
    pub fn from_record(names: Vec<String>) -> CollectionPath {
        CollectionPath(names)
    }

    pub fn names(&self) -> &[String] {
        &self.0
    }

    pub fn bytes(&self) -> usize {
        self.0.iter().map(String::len).sum()
    }

    /// SHA-256 of the path. Lengths are hashed too, so that `a, bc` and `ab, c` differ.
    pub fn key(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for name in &self.0 {
            text.extend_from_slice(&name.len().to_be_bytes());
            text.extend_from_slice(name.as_bytes());
        }
        digest(&SHA256, &text).as_ref().to_vec()
    }

    /// The path itself and every collection around it, from the outermost in.
    pub fn with_ancestors(&self) -> impl Iterator<Item = CollectionPath> {
        (1..=self.0.len()).map(|depth| CollectionPath(self.0[..depth].to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keys_tell_paths_apart_by_names() {
        let one = CollectionPath::parse("c", path(&["a", "bc"])).unwrap();
        let other = CollectionPath::parse("c", path(&["ab", "c"])).unwrap();

        assert_ne!(one.key(), other.key());
    }

    #[test]
    fn wrong_names_are_named() {
        let violations = CollectionPath::parse("collections[2]", path(&["a", "", "b\0"])).unwrap_err();

        let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["collections[2].names[1]", "collections[2].names[2]"]);
    }

    #[test]
    fn a_path_has_a_depth_of_1_to_64() {
        assert!(CollectionPath::parse("c", Vec::new()).is_err());
        assert!(CollectionPath::parse("c", path(&["a"; 64])).is_ok());
        assert!(CollectionPath::parse("c", path(&["a"; 65])).is_err());
    }

    #[test]
    fn imported_folders_are_made_to_fit() {
        let imported = CollectionPath::imported(&path(&["a,b", " ", "c\0"])).unwrap();

        assert_eq!(imported.names(), ["a,b", "(unnamed)", "c"]);
        assert_eq!(CollectionPath::imported(&[]), None);
    }
}
