//! Picks the sentence that says most, as one plain line.

use unicode_segmentation::UnicodeSegmentation;

use super::rank::Scores;

const MAX_CHARACTERS: usize = 200;
/// `Read more.` says nothing.
const MIN_CHARACTERS: usize = 20;
/// Sentences that come later have to be so much better.
const LATER: f32 = 0.9;

/// Nothing when the text has no words.
pub(super) fn summarise(text: &str, scores: &Scores) -> Option<String> {
    let line = plain_line(text);
    let mut best: Option<(f32, &str)> = None;
    let mut position = 1.0;
    for sentence in line.unicode_sentences() {
        let sentence = sentence.trim();
        let score = score(sentence, scores) * position;
        position *= LATER;
        if best.is_none_or(|(best_score, _)| score > best_score) {
            best = Some((score, sentence));
        }
    }
    best.map(|(_, sentence)| shorten(sentence))
}

fn score(sentence: &str, scores: &Scores) -> f32 {
    let mut total = 0.0;
    let mut words = 1.0_f32;
    for word in sentence.unicode_words() {
        total += scores.of_word(&word.to_lowercase());
        words += 1.0;
    }
    let is_short = sentence.chars().count() < MIN_CHARACTERS;
    // The root keeps a list of everything from beating a sentence about something.
    let score = total / words.sqrt();
    if is_short { score / 2.0 } else { score }
}

/// One line, without control characters and those that turn the direction of what follows.
fn plain_line(text: &str) -> String {
    let visible: String = text
        .chars()
        .filter(|character| !matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'))
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Cut between words, with an ellipsis in place of the rest.
fn shorten(sentence: &str) -> String {
    if sentence.chars().count() <= MAX_CHARACTERS {
        return sentence.to_owned();
    }
    let end = sentence
        .char_indices()
        .nth(MAX_CHARACTERS - 1)
        .map_or(sentence.len(), |(index, _)| index);
    let cut = &sentence[..end];
    let cut = cut.rsplit_once(' ').map_or(cut, |(words, _)| words);
    format!("{cut}…")
}
