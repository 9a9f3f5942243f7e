//! Proposes tags and a summary line from the text that a bookmark already has. Pure, and opens no connection.

mod address;
mod rank;
mod stop_words;
mod summary;
mod words;

use rank::Scores;
use serde::{Deserialize, Serialize};
use words::Phrase;

const MAX_TAGS: usize = 8;
/// The beginning of a text says what it is about; the rest would only take time.
const READ_BYTES: usize = 4_096;

/// What is known of a bookmark.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Text<'a> {
    pub url: &'a str,
    pub title: &'a str,
    pub description: &'a str,
    pub note: &'a str,
    /// The tags that it has; none of them is proposed.
    pub tags: &'a [String],
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Proposal {
    /// At most eight, best first.
    pub tags: Vec<ProposedTag>,
    /// One line of at most 200 characters, or empty.
    pub summary: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProposedTag {
    /// `^[\p{L}\p{N}][\p{L}\p{N} ._+-]{0,39}$`
    pub name: String,
    /// 0 to 1.
    pub confidence: f32,
}

/// Where words come from, and how much each source is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Title,
    Note,
    Host,
    Description,
    Path,
}

pub(crate) fn propose(text: &Text<'_>) -> Proposal {
    let scores = Scores::of(&phrases(text));
    let tags = scores.best(MAX_TAGS, text.tags);
    let summary = summary::summarise(beginning(text.description), &scores)
        .or_else(|| summary::summarise(beginning(text.note), &scores))
        .unwrap_or_default();
    Proposal { tags, summary }
}

fn phrases(text: &Text<'_>) -> Vec<(Source, Phrase)> {
    let (host, path) = address::split(beginning(text.url));
    let prose = [
        (Source::Title, text.title),
        (Source::Note, text.note),
        (Source::Description, text.description),
    ];
    let mut phrases = Vec::new();
    for (source, prose) in prose {
        phrases.extend(
            words::phrases(beginning(prose))
                .into_iter()
                .map(|phrase| (source, phrase)),
        );
    }
    // Neighbours in an address make no phrase.
    for (source, address) in [(Source::Host, host), (Source::Path, path)] {
        phrases.extend(address::words(address).map(|word| (source, vec![word])));
    }
    phrases
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(READ_BYTES)]
}

impl Source {
    const COUNT: usize = 5;

    fn weight(self) -> f32 {
        match self {
            Source::Title => 3.0,
            Source::Note => 2.0,
            Source::Host => 1.5,
            Source::Description | Source::Path => 1.0,
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests;
