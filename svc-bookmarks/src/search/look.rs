//! Whether a bookmark meets a query, without an index: what the index would find, said of one bookmark.

use tantivy::tokenizer::Token;

use crate::{
    domain::Bookmark,
    search::{
        clauses::MIN_BEGINNING_CHARACTERS,
        query::{Condition, SearchQuery},
        schema,
        snippet::is_found,
        tokenizer,
    },
};

/// Reads all of the bookmark's text: to be called where that is allowed.
pub fn meets(query: &SearchQuery, bookmark: &Bookmark) -> bool {
    if query.finds_nothing() {
        return false;
    }
    let texts: Vec<Vec<Token>> = schema::texts(bookmark)
        .iter()
        .map(|text| tokenizer::words(text))
        .collect();
    let mut clauses = query.clauses().iter();
    clauses.all(|clause| holds(&clause.condition, bookmark, &texts) != clause.is_negated)
}

fn holds(condition: &Condition, bookmark: &Bookmark, texts: &[Vec<Token>]) -> bool {
    match condition {
        Condition::Tag(tag) => schema::tags(bookmark).any(|other| other == *tag),
        Condition::Collection(name) => schema::collections(bookmark).any(|other| other == *name),
        Condition::Site(site) => {
            let host = bookmark.content.url.host().unwrap_or_default();
            schema::domains(&host).any(|domain| domain == site)
        }
        Condition::Words { words, is_prefix } => {
            let last = words.last().map_or(0, |word| word.chars().count());
            let is_prefix = *is_prefix && last >= MIN_BEGINNING_CHARACTERS;
            let mut windows = texts.iter().flat_map(|tokens| tokens.windows(words.len()));
            windows.any(|window| is_found(window, words, is_prefix))
        }
    }
}
