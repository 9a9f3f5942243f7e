//! Ranks words and phrases by where and how often they occur.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use regex::Regex;

use super::{ProposedTag, Source, words::Phrase};

const MAX_NAME_CHARACTERS: usize = 40;
const MAX_PHRASE_WORDS: usize = 3;
/// A word counts so often per source and no more, so that repeating it wins nothing.
const MAX_REPEATS: u8 = 3;
/// What each further source of a word adds: a word of both title and description is what the page is about.
const FURTHER_SOURCE: f32 = 0.5;
const TWO_WORDS: f32 = 1.2;
const SEEN_AGAIN: f32 = 1.3;
/// A word that only a host or one place in a description has is not worth a tag.
const MIN_SCORE: f32 = 2.0;
/// The score that is as likely right as wrong.
const EVEN_SCORE: f32 = 6.0;

/// The length is checked apart: the pattern is small and quick without it.
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[\p{L}\p{N}][\p{L}\p{N} ._+-]*$").expect("the pattern is valid"));

/// How much each word of a bookmark matters to it.
#[derive(Debug, Default)]
pub(super) struct Scores {
    words: HashMap<String, f32>,
    /// Phrases of two or three words, and how often each occurs.
    phrases: HashMap<Phrase, u8>,
}

struct Candidate<'a> {
    words: Vec<&'a str>,
    score: f32,
    /// A phrase that stands there again is one, and worth a tag beside its words. Once, it may be chance.
    recurs: bool,
}

impl Scores {
    pub(super) fn of(phrases: &[(Source, Phrase)]) -> Scores {
        let mut counts: HashMap<&str, [u8; Source::COUNT]> = HashMap::new();
        let mut scores = Scores::default();
        for (source, phrase) in phrases {
            for word in phrase {
                let count = &mut counts.entry(word).or_default()[source.index()];
                *count = (*count + 1).min(MAX_REPEATS);
            }
            if (2..=MAX_PHRASE_WORDS).contains(&phrase.len()) {
                let count = scores.phrases.entry(phrase.clone()).or_default();
                *count = count.saturating_add(1);
            }
        }
        let score = |(word, counts): (&&str, &[u8; Source::COUNT])| ((*word).to_owned(), word_score(counts));
        scores.words = counts.iter().map(score).collect();
        scores
    }

    pub(super) fn of_word(&self, word: &str) -> f32 {
        self.words.get(word).copied().unwrap_or_default()
    }

    /// The best tags that are not among `existing`.
    pub(super) fn best(&self, limit: usize, existing: &[String]) -> Vec<ProposedTag> {
        let existing: HashSet<String> = existing.iter().map(|tag| tag.to_lowercase()).collect();
        let mut covered: HashSet<&str> = HashSet::new();
        let mut tags = Vec::new();
        for candidate in self.candidates() {
            let name = candidate.words.join(" ");
            let known_words = candidate.words.iter().filter(|word| covered.contains(*word)).count();
            let says_something_new = known_words == 0 || (candidate.recurs && known_words < candidate.words.len());
            if tags.len() == limit || candidate.score < MIN_SCORE {
                break;
            }
            if !says_something_new || existing.contains(&name) || !is_name(&name) {
                continue;
            }
            covered.extend(&candidate.words);
            tags.push(ProposedTag {
                name,
                confidence: candidate.score / (candidate.score + EVEN_SCORE),
            });
        }
        tags
    }

    /// Best first; equal ones by name, so that the same text always gives the same tags.
    fn candidates(&self) -> Vec<Candidate<'_>> {
        let words = self.words.iter().map(|(word, score)| Candidate {
            words: vec![word],
            score: *score,
            recurs: false,
        });
        let phrases = self.phrases.iter().map(|(phrase, count)| Candidate {
            words: phrase.iter().map(String::as_str).collect(),
            score: self.phrase_score(phrase, *count),
            recurs: *count > 1,
        });
        let mut candidates: Vec<Candidate<'_>> = words.chain(phrases).collect();
        candidates.sort_by(|left, right| {
            right
                .score
                .total_cmp(&left.score)
                .then_with(|| left.words.cmp(&right.words))
        });
        candidates
    }

    fn phrase_score(&self, phrase: &Phrase, count: u8) -> f32 {
        let total: f32 = phrase.iter().map(|word| self.of_word(word)).sum();
        let words: f32 = phrase.iter().map(|_| 1.0).sum();
        let length = if phrase.len() == 2 { TWO_WORDS } else { 1.0 };
        let again = if count > 1 { SEEN_AGAIN } else { 1.0 };
        total / words * length * again
    }
}

fn word_score(counts: &[u8; Source::COUNT]) -> f32 {
    let sources = [
        Source::Title,
        Source::Note,
        Source::Host,
        Source::Description,
        Source::Path,
    ];
    let mut score = 0.0;
    let mut variety = 1.0 - FURTHER_SOURCE;
    for source in sources {
        let count = counts[source.index()];
        if count > 0 {
            score += source.weight() * f32::from(count);
            variety += FURTHER_SOURCE;
        }
    }
    score * variety
}

fn is_name(text: &str) -> bool {
    text.chars().count() <= MAX_NAME_CHARACTERS && NAME.is_match(text)
}
