//! Snippets: where in a bookmark the words were found.

use std::ops::Range;

use tantivy::tokenizer::Token;

use crate::{
    domain::Bookmark,
    search::{
        query::{Condition, SearchQuery},
        tokenizer,
    },
};

/// How much text is shown around what was found.
const SNIPPET_BYTES: usize = 240;
/// How much of it stands before the first find.
const LEAD_BYTES: usize = 60;

/// A piece of a field, with what was found in it: ranges of Unicode code points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    pub field: &'static str,
    pub text: String,
    pub highlights: Vec<Range<usize>>,
}

/// One snippet for each text in which something was found.
pub fn snippets(query: &SearchQuery, bookmark: &Bookmark) -> Vec<Snippet> {
    let content = &bookmark.content;
    let texts = [
        ("title", content.title.as_str()),
        ("url", content.url.as_str()),
        ("description", &content.description),
        ("note", &content.note),
    ];
    let tags = content.tags.iter().map(|tag| ("tags", tag.as_str()));
    let names = content.collections.iter().filter_map(|path| path.names().last());
    let collections = names.map(|name| ("collections", name.as_str()));
    texts
        .into_iter()
        .chain(tags)
        .chain(collections)
        .filter_map(|(field, text)| snippet(query, field, text))
        .collect()
}

fn snippet(query: &SearchQuery, field: &'static str, text: &str) -> Option<Snippet> {
    let tokens = tokenizer::words(text);
    let found = finds(query, &tokens);
    let first = found.first()?;
    let window = window(text, first.start);
    let piece = &text[window.clone()];
    let highlights = found
        .iter()
        .filter(|find| find.start >= window.start && find.end <= window.end)
        .map(|find| count(text, window.start, find.start)..count(text, window.start, find.end))
        .collect();
    Some(Snippet {
        field,
        text: piece.to_owned(),
        highlights,
    })
}

/// The byte ranges of everything found, in order, none touching another twice.
fn finds(query: &SearchQuery, tokens: &[Token]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for clause in query.clauses().iter().filter(|clause| !clause.is_negated) {
        let Condition::Words { words, is_prefix } = &clause.condition else {
            continue;
        };
        let places = tokens
            .windows(words.len())
            .filter(|window| is_found(window, words, *is_prefix));
        ranges.extend(places.map(|window| window[0].offset_from..window[window.len() - 1].offset_to));
    }
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut united: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match united.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => united.push(range),
        }
    }
    united
}

pub(super) fn is_found(window: &[Token], words: &[String], is_prefix: bool) -> bool {
    let last = words.len() - 1;
    window.iter().zip(words).enumerate().all(|(index, (token, word))| {
        if is_prefix && index == last {
            token.text.starts_with(word.as_str())
        } else {
            token.text == *word
        }
    })
}

/// A piece of text that holds `start`, beginning and ending between words where it can.
fn window(text: &str, start: usize) -> Range<usize> {
    if text.len() <= SNIPPET_BYTES {
        return 0..text.len();
    }
    let from = text.floor_char_boundary(start.saturating_sub(LEAD_BYTES));
    let from = if from == 0 {
        0
    } else {
        text[from..start].find(' ').map_or(from, |space| from + space + 1)
    };
    let end = text.floor_char_boundary((from + SNIPPET_BYTES).min(text.len()));
    let end = if end == text.len() {
        end
    } else {
        text[start..end]
            .rfind(' ')
            .map_or(end, |space| if space == 0 { end } else { start + space })
    };
    from..end
}

fn count(text: &str, from: usize, to: usize) -> usize {
    text[from..to].chars().count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(query: &str, text: &str) -> Option<Vec<String>> {
        let query = SearchQuery::parse("query", query).unwrap();
        let snippet = snippet(&query, "title", text)?;
        let characters: Vec<char> = snippet.text.chars().collect();
        Some(
            snippet
                .highlights
                .into_iter()
                .map(|range| characters[range].iter().collect())
                .collect(),
        )
    }

    #[test]
    fn what_was_found_is_marked_in_code_points() {
        let tests: [(&str, &str, Option<&[&str]>); 8] = [
            ("rust", "The Rust book", Some(&["Rust"])),
            ("rus", "The Rust book, rusty", Some(&["Rust", "rusty"])),
            ("cafe", "Ein schönes Café", Some(&["Café"])),
            ("\"rust book\"", "Rust? The Rust Book", Some(&["Rust Book"])),
            ("検索", "全文検索エンジン", Some(&["検索"])),
            ("docs.rs", "see docs.rs/tokio", Some(&["docs.rs"])),
            ("a -book", "a book", Some(&["a"])),
            ("tag:rust", "Rust", None),
        ];
        for (query, text, expected) in tests {
            assert_eq!(
                find(query, text).as_deref(),
                expected
                    .map(|e| e.iter().map(ToString::to_string).collect::<Vec<_>>())
                    .as_deref(),
                "{query}"
            );
        }
    }

    #[test]
    fn a_long_text_is_cut_around_the_first_find() {
        let text = format!("{} needle {}", "before ".repeat(100), "after ".repeat(100));
        let query = SearchQuery::parse("query", "needle").unwrap();

        let snippet = snippet(&query, "note", &text).unwrap();

        assert!(snippet.text.len() <= SNIPPET_BYTES);
        assert!(
            snippet.text.starts_with("before") && snippet.text.ends_with("after"),
            "{}",
            snippet.text
        );
        assert_eq!(snippet.highlights.len(), 1);
    }

    proptest! {
        #[test]
        fn highlights_are_inside_of_the_text(query in "[a-c検é ]{1,8}", text in "[a-c検é ]{0,400}") {
            let query = SearchQuery::parse("query", &query).unwrap();
            if let Some(snippet) = snippet(&query, "title", &text) {
                let characters = snippet.text.chars().count();
                prop_assert!(!snippet.highlights.is_empty());
                for highlight in snippet.highlights {
                    prop_assert!(highlight.start < highlight.end && highlight.end <= characters);
                }
            }
        }
    }
}
