//! A search query as tantivy's. The owner is not optional: without one there is no query.

use std::ops::Bound;

use tantivy::{
    Term,
    query::{
        BooleanQuery, BoostQuery, ConstScoreQuery, InvertedIndexRangeQuery, Occur, PhrasePrefixQuery, PhraseQuery,
        Query, TermQuery,
    },
    schema::{Field, IndexRecordOption},
};
use uuid::Uuid;

use crate::search::{
    query::{Condition, SearchQuery},
    schema::Fields,
};

const TITLE_BOOST: f32 = 4.0;
const TAGS_BOOST: f32 = 3.0;
const SITE_BOOST: f32 = 2.0;
/// A word of which only the beginning is known says less than a whole one.
const BEGINNING_SCORE: f32 = 0.2;
/// Beginnings of one letter would be half of all words.
pub(super) const MIN_BEGINNING_CHARACTERS: usize = 2;
/// How many words a beginning at the end of a phrase may stand for.
const MAX_EXPANSIONS: u32 = 10_000;

type Boxed = Box<dyn Query>;

pub(super) fn build(fields: &Fields, owner: Uuid, query: &SearchQuery) -> BooleanQuery {
    let mut clauses: Vec<(Occur, Boxed)> = vec![(Occur::Must, unranked(term(fields.owner_term(owner))))];
    for clause in query.clauses() {
        let condition = condition(fields, &clause.condition, clause.is_negated);
        let occur = if clause.is_negated { Occur::MustNot } else { Occur::Must };
        clauses.push((occur, condition));
    }
    BooleanQuery::new(clauses)
}

/// Everything that the owner has in the index.
pub(super) fn everything_of(fields: &Fields, owner: Uuid) -> Boxed {
    term(fields.owner_term(owner))
}

fn condition(fields: &Fields, condition: &Condition, is_negated: bool) -> Boxed {
    match condition {
        Condition::Tag(tag) => unranked(term(Term::from_field_text(fields.tag, tag))),
        Condition::Site(site) => unranked(term(Term::from_field_text(fields.site, site))),
        Condition::Collection(name) => unranked(term(Term::from_field_text(fields.collection, name))),
        Condition::Words { words, .. } if is_negated => next_to_each_other(fields.text, words),
        Condition::Words { words, is_prefix } => ranked(fields, words, *is_prefix),
    }
}

/// Found anywhere; the better, the nearer to what the bookmark is about.
fn ranked(fields: &Fields, words: &[String], is_prefix: bool) -> Boxed {
    let is_prefix = is_prefix
        && words
            .last()
            .is_some_and(|word| word.chars().count() >= MIN_BEGINNING_CHARACTERS);
    let lifting = [
        (fields.title, TITLE_BOOST),
        (fields.tags, TAGS_BOOST),
        (fields.site_words, SITE_BOOST),
    ];
    let mut clauses: Vec<(Occur, Boxed)> = vec![(Occur::Must, found(fields.text, words, is_prefix))];
    for (field, boost) in lifting {
        clauses.push((
            Occur::Should,
            Box::new(BoostQuery::new(found(field, words, is_prefix), boost)),
        ));
    }
    Box::new(BooleanQuery::new(clauses))
}

fn found(field: Field, words: &[String], is_prefix: bool) -> Boxed {
    let whole = next_to_each_other(field, words);
    if !is_prefix {
        return whole;
    }
    let beginning: Boxed = Box::new(ConstScoreQuery::new(beginning(field, words), BEGINNING_SCORE));
    Box::new(BooleanQuery::new(vec![
        (Occur::Should, whole),
        (Occur::Should, beginning),
    ]))
}

fn next_to_each_other(field: Field, words: &[String]) -> Boxed {
    let mut terms: Vec<Term> = words.iter().map(|word| Term::from_field_text(field, word)).collect();
    if terms.len() == 1 {
        return Box::new(TermQuery::new(terms.remove(0), IndexRecordOption::WithFreqs));
    }
    Box::new(PhraseQuery::new(terms))
}

fn beginning(field: Field, words: &[String]) -> Boxed {
    if let [word] = words {
        let end = after_beginning(word).map_or(Bound::Unbounded, |end| {
            Bound::Excluded(Term::from_field_text(field, &end))
        });
        return Box::new(InvertedIndexRangeQuery::new(
            Bound::Included(Term::from_field_text(field, word)),
            end,
        ));
    }
    let terms = words.iter().map(|word| Term::from_field_text(field, word)).collect();
    let mut phrase = PhrasePrefixQuery::new(terms);
    phrase.set_max_expansions(MAX_EXPANSIONS);
    Box::new(phrase)
}

/// The first text behind all that begin with `word`.
fn after_beginning(word: &str) -> Option<String> {
    let mut characters: Vec<char> = word.chars().collect();
    while let Some(last) = characters.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

fn term(term: Term) -> Boxed {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

/// A condition that says nothing about how well it fits.
fn unranked(query: Boxed) -> Boxed {
    Box::new(ConstScoreQuery::new(query, 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_beginning_is_behind_all_of_it() {
        assert_eq!(after_beginning("rus").as_deref(), Some("rut"));
        assert_eq!(after_beginning("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after_beginning("\u{10ffff}"), None);
        assert_eq!(after_beginning("\u{d7ff}").as_deref(), Some("\u{e000}"));
    }
}
