//! The query language: words, "phrases", `tag:name`, `site:host`, `in:"collection name"`, and `-` before any of them.

use service::status::Violation;
use url::Url;

use crate::{domain::fold, search::tokenizer};

const MAX_BYTES: usize = 1_024;
const MAX_CLAUSES: usize = 32;

/// What is looked for: all of the clauses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    clauses: Vec<Clause>,
    is_blank: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    pub is_negated: bool,
    pub condition: Condition,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Words that stand next to each other; of the last one only a beginning may be given.
    Words { words: Vec<String>, is_prefix: bool },
    /// A tag, folded.
    Tag(String),
    /// A host in its ASCII form, with the hosts below it.
    Site(String),
    /// A name anywhere in a collection's path, folded.
    Collection(String),
}

impl SearchQuery {
    /// Takes whatever was typed. Only what is too long is refused.
    pub fn parse(field: &str, text: &str) -> Result<SearchQuery, Violation> {
        if text.len() > MAX_BYTES {
            return Err(Violation::new(
                field,
                format!("must be at most {MAX_BYTES} bytes, is {}", text.len()),
            ));
        }
        let mut pieces = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (piece, after) = Piece::take(rest);
            rest = after.trim_start();
            pieces.push((piece, rest.is_empty()));
        }
        let clauses: Vec<Clause> = pieces
            .into_iter()
            .filter_map(|(piece, is_last)| piece.into_clause(is_last))
            .collect();
        if clauses.len() > MAX_CLAUSES {
            let rule = format!(
                "must have at most {MAX_CLAUSES} words and conditions, has {}",
                clauses.len()
            );
            return Err(Violation::new(field, rule));
        }
        Ok(SearchQuery {
            clauses,
            is_blank: text.trim().is_empty(),
        })
    }

    /// Nothing was typed: everything is meant.
    pub fn is_blank(&self) -> bool {
        self.is_blank
    }

    /// Something was typed, and none of it can be found: `?!`.
    pub fn finds_nothing(&self) -> bool {
        !self.is_blank && self.clauses.is_empty()
    }

    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }
}

/// One condition as it was typed.
struct Piece<'a> {
    is_negated: bool,
    name: Option<&'a str>,
    value: &'a str,
    is_quoted: bool,
}

impl<'a> Piece<'a> {
    /// Takes one condition off the beginning of `text`, which is not blank.
    fn take(text: &'a str) -> (Piece<'a>, &'a str) {
        let (is_negated, text) = match text.strip_prefix('-') {
            Some(rest) if rest.starts_with(|next: char| !next.is_whitespace()) => (true, rest),
            _ => (false, text),
        };
        let (name, text) = take_name(text);
        let (value, is_quoted, rest) = take_value(text);
        (
            Piece {
                is_negated,
                name,
                value,
                is_quoted,
            },
            rest,
        )
    }

    fn into_clause(self, is_last: bool) -> Option<Clause> {
        let condition = match self.name {
            Some("tag") => Condition::Tag(not_empty(fold(self.value.trim()))?),
            Some("site") => Condition::Site(not_empty(host(self.value.trim()))?),
            Some("in") => Condition::Collection(not_empty(fold(self.value.trim()))?),
            _ => {
                let words: Vec<String> = tokenizer::words(self.value)
                    .into_iter()
                    .map(|token| token.text)
                    .collect();
                let is_prefix = is_last && !self.is_quoted && !self.is_negated;
                if words.is_empty() {
                    return None;
                }
                Condition::Words { words, is_prefix }
            }
        };
        Some(Clause {
            is_negated: self.is_negated,
            condition,
        })
    }
}

fn take_name(text: &str) -> (Option<&'static str>, &str) {
    for name in ["tag", "site", "in"] {
        let is_named = text
            .get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name));
        if is_named && text[name.len()..].starts_with(':') {
            return (Some(name), &text[name.len() + 1..]);
        }
    }
    (None, text)
}

/// A value up to the closing quote, or to the next white space. A quote that is not closed holds the rest.
fn take_value(text: &str) -> (&str, bool, &str) {
    let opening = text.chars().next().filter(|first| is_quote(*first));
    let Some(opening) = opening else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return (&text[..end], false, &text[end..]);
    };
    let inside = &text[opening.len_utf8()..];
    match inside.char_indices().find(|(_, character)| is_quote(*character)) {
        Some((end, closing)) => (&inside[..end], true, &inside[end + closing.len_utf8()..]),
        None => (inside, true, ""),
    }
}

/// Phones and word processors write quotes of their own.
fn is_quote(character: char) -> bool {
    matches!(character, '"' | '“' | '”' | '„' | '«' | '»')
}

fn not_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// The ASCII form of a host, out of a host or a whole URL.
fn host(text: &str) -> String {
    let text = text.trim_start_matches("*.").trim_start_matches('.');
    let url = if text.contains("://") {
        Url::parse(text)
    } else {
        Url::parse(&format!("http://{text}"))
    };
    let host = url.ok().and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Vec<Clause> {
        SearchQuery::parse("query", text).unwrap().clauses
    }

    fn words(words: &[&str], is_prefix: bool) -> Clause {
        let words = words.iter().map(ToString::to_string).collect();
        Clause {
            is_negated: false,
            condition: Condition::Words { words, is_prefix },
        }
    }

    fn condition(condition: Condition) -> Clause {
        Clause {
            is_negated: false,
            condition,
        }
    }

    fn not(clause: Clause) -> Clause {
        Clause {
            is_negated: true,
            ..clause
        }
    }

    #[test]
    fn queries_read_as_they_were_meant() {
        let tests = [
            ("", vec![]),
            ("rust", vec![words(&["rust"], true)]),
            ("Rust Async", vec![words(&["rust"], false), words(&["async"], true)]),
            (
                "\"zero copy\" rust",
                vec![words(&["zero", "copy"], false), words(&["rust"], true)],
            ),
            ("\"not closed", vec![words(&["not", "closed"], false)]),
            ("“curly quotes”", vec![words(&["curly", "quotes"], false)]),
            ("docs.rs", vec![words(&["docs", "rs"], true)]),
            ("検索", vec![words(&["検", "索"], true)]),
            ("tag:Rust", vec![condition(Condition::Tag("rust".to_owned()))]),
            ("TAG:\"to do\"", vec![condition(Condition::Tag("to do".to_owned()))]),
            ("site:Docs.RS", vec![condition(Condition::Site("docs.rs".to_owned()))]),
            (
                "site:https://bücher.example/x",
                vec![condition(Condition::Site("xn--bcher-kva.example".to_owned()))],
            ),
            (
                "in:\"Reading List\"",
                vec![condition(Condition::Collection("reading list".to_owned()))],
            ),
            ("a -b", vec![words(&["a"], false), not(words(&["b"], false))]),
            (
                "-tag:x -\"a b\"",
                vec![
                    not(condition(Condition::Tag("x".to_owned()))),
                    not(words(&["a", "b"], false)),
                ],
            ),
            ("a - b", vec![words(&["a"], false), words(&["b"], true)]),
            ("tag: x", vec![words(&["x"], true)]),
            ("unknown:x", vec![words(&["unknown", "x"], true)]),
            ("?! …", vec![]),
        ];
        for (text, expected) in tests {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn nothing_typed_is_everything_and_signs_alone_are_nothing() {
        assert!(SearchQuery::parse("query", " \n").unwrap().is_blank());
        assert!(SearchQuery::parse("query", "?!").unwrap().finds_nothing());
    }

    #[test]
    fn too_much_is_refused() {
        assert!(SearchQuery::parse("query", &"x".repeat(1_025)).is_err());
        assert!(SearchQuery::parse("query", &"x ".repeat(33)).is_err());
        assert!(SearchQuery::parse("query", &"x ".repeat(32)).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_typed_has_a_meaning(text in "[-a\"“: tagsiten.é検\\PC]{0,60}") {
            prop_assert!(SearchQuery::parse("query", &text).is_ok() || text.len() > 64);
        }

        #[test]
        fn words_are_kept_in_order(words in proptest::collection::vec("[a-z]{1,8}", 1..20)) {
            let found: Vec<String> = parse(&words.join(" "))
                .into_iter()
                .filter_map(|clause| match clause.condition {
                    Condition::Words { mut words, .. } => words.pop(),
                    Condition::Tag(_) | Condition::Site(_) | Condition::Collection(_) => None,
                })
                .collect();

            prop_assert_eq!(found, words);
        }
    }
}
