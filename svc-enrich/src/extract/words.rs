//! Cuts prose into phrases: runs of words that carry meaning, between stop words and punctuation.

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::stop_words;

const MAX_WORD_CHARACTERS: usize = 30;
/// Chinese and Japanese write no spaces: a longer run is a clause, not a word.
const MAX_IDEOGRAPHS: usize = 6;
/// More digits than this make an id, not a name like `mp3` or `2fa`.
const MAX_DIGITS: usize = 2;

/// Words in lower case, in the order in which they stood.
pub(super) type Phrase = Vec<String>;

/// The phrases of a text, in order.
pub(super) fn phrases(text: &str) -> Vec<Phrase> {
    let composed: String = text.nfc().collect();
    let mut phrases = Vec::new();
    let mut phrase = Phrase::new();
    let mut phrase_end = 0;
    for (start, token) in tokens(&composed) {
        let between = &composed[phrase_end..start];
        if !phrase.is_empty() && !joins(between) {
            phrases.push(std::mem::take(&mut phrase));
        }
        phrase_end = start + token.len();
        match content_word(token) {
            Some(word) => phrase.push(word),
            None if phrase.is_empty() => {}
            None => phrases.push(std::mem::take(&mut phrase)),
        }
    }
    if !phrase.is_empty() {
        phrases.push(phrase);
    }
    phrases
}

/// Words by UAX 29, with neighbouring ideographs put together.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let mut tokens: Vec<(usize, &str)> = Vec::new();
    for (start, word) in text.unicode_word_indices() {
        match tokens.last_mut() {
            Some((last_start, last))
                if *last_start + last.len() == start && is_ideographic(last) && is_ideographic(word) =>
            {
                *last = &text[*last_start..start + word.len()];
            }
            _ => tokens.push((start, word)),
        }
    }
    tokens
}

/// Whether what stands between two words leaves them in one phrase.
fn joins(between: &str) -> bool {
    between.chars().all(|character| character == ' ' || character == '-')
}

/// The word as a tag would have it, unless it says nothing by itself.
fn content_word(token: &str) -> Option<String> {
    let word = longest_part(token).to_lowercase();
    let characters = word.chars().count();
    let limit = if is_ideographic(&word) {
        MAX_IDEOGRAPHS
    } else {
        MAX_WORD_CHARACTERS
    };
    let digits = word.chars().filter(|character| character.is_numeric()).count();
    let has_meaning = (2..=limit).contains(&characters)
        && digits <= MAX_DIGITS
        && digits < characters
        && !word.contains('_')
        && !stop_words::is_stop_word(&word);
    has_meaning.then_some(word)
}

/// `l'amour` is about amour, `Bob's` about Bob.
fn longest_part(token: &str) -> &str {
    token
        .split(['\'', '\u{2019}'])
        .max_by_key(|part| part.len())
        .unwrap_or(token)
}

fn is_ideographic(text: &str) -> bool {
    text.chars().all(
        |character| matches!(character, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}'),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        phrases(text).iter().map(|phrase| phrase.join(" ")).collect()
    }

    #[test]
    fn stop_words_and_punctuation_end_a_phrase() {
        assert_eq!(
            of("A guide to asynchronous Rust: futures, pinning and the Tokio runtime"),
            ["guide", "asynchronous rust", "futures", "pinning", "tokio runtime"]
        );
        assert_eq!(
            of("Die Kunst des Backens für Anfänger"),
            ["kunst", "backens", "anfänger"]
        );
        assert_eq!(of("L'histoire de l'art"), ["histoire", "art"]);
        assert_eq!(of("La cocina de los Andes"), ["cocina", "andes"]);
    }

    #[test]
    fn numbers_single_letters_and_ids_are_dropped() {
        assert_eq!(of("10 ways x 3.14 a8f3c92 mp3 2fa snake_case"), ["ways", "mp3 2fa"]);
    }

    #[test]
    fn decomposed_letters_are_put_together() {
        assert_eq!(of("cafe\u{301}s"), ["cafés"]);
    }

    #[test]
    fn chinese_and_japanese_words_are_runs_of_ideographs() {
        assert_eq!(of("人工知能の研究"), ["人工知能", "研究"]);
        assert_eq!(of("プログラミング入門"), ["プログラミング 入門"]);
    }

    #[test]
    fn names_with_dots_stay_whole() {
        assert_eq!(of("Learn Node.js today"), ["learn node.js today"]);
    }
}
