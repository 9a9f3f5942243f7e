//! Words: Unicode segmentation, folded, and every character of scripts without spaces a word of its own.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_segmentation::UnicodeSegmentation;

use crate::domain::fold_character;

/// The name under which the schema knows it.
pub(super) const WORDS: &str = "words";
/// What is longer is no word, and its beginning finds it.
const MAX_WORD_CHARACTERS: usize = 64;

/// The words of a text with their places: byte offsets, and positions that count words.
pub(super) fn words(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (offset, segment) in text.unicode_word_indices() {
        // Segmentation keeps `docs.rs` and `snake_case` whole; each part is to be found.
        let mut start = None;
        for (index, character) in segment.char_indices() {
            let at = offset + index;
            if stands_alone(character) {
                push_word(text, start.take(), at, &mut tokens);
                push_word(text, Some(at), at + character.len_utf8(), &mut tokens);
            } else if belongs_to_word(character) {
                start.get_or_insert(at);
            } else {
                push_word(text, start.take(), at, &mut tokens);
            }
        }
        push_word(text, start, offset + segment.len(), &mut tokens);
    }
    tokens
}

fn push_word(text: &str, start: Option<usize>, end: usize, tokens: &mut Vec<Token>) {
    let Some(start) = start else { return };
    let mut folded = String::with_capacity(end - start);
    for character in text[start..end].chars().take(MAX_WORD_CHARACTERS) {
        fold_character(character, &mut folded);
    }
    if folded.is_empty() {
        return;
    }
    let position = tokens.len();
    tokens.push(Token {
        offset_from: start,
        offset_to: end,
        position,
        text: folded,
        position_length: 1,
    });
}

/// Chinese, Japanese and Korean: words have no borders, or endings grow on them. A word of several such characters is
/// found as a phrase.
fn stands_alone(character: char) -> bool {
    matches!(
        character,
        '\u{2e80}'..='\u{2fdf}'
            | '\u{3005}'..='\u{3007}'
            | '\u{3041}'..='\u{30ff}'
            | '\u{3100}'..='\u{31ff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7a3}'
            | '\u{f900}'..='\u{faff}'
            | '\u{ff66}'..='\u{ff9f}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

fn belongs_to_word(character: char) -> bool {
    character.is_alphanumeric() || unicode_normalization::char::is_combining_mark(character)
}

/// The same for tantivy.
#[derive(Clone, Default)]
pub(super) struct WordTokenizer;

pub(super) struct WordStream {
    tokens: std::vec::IntoIter<Token>,
    current: Token,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream {
        WordStream {
            tokens: words(text).into_iter(),
            current: Token::default(),
        }
    }
}

impl TokenStream for WordStream {
    fn advance(&mut self) -> bool {
        let Some(token) = self.tokens.next() else { return false };
        self.current = token;
        true
    }

    fn token(&self) -> &Token {
        &self.current
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.current
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<String> {
        words(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn texts_fall_into_words() {
        let tests: [(&str, &[&str]); 10] = [
            ("Hello, World!", &["hello", "world"]),
            ("docs.rs/tokio snake_case", &["docs", "rs", "tokio", "snake", "case"]),
            ("Crème brûlée", &["creme", "brulee"]),
            ("Rust入門", &["rust", "入", "門"]),
            ("プログラミング", &["プ", "ロ", "グ", "ラ", "ミ", "ン", "グ"]),
            ("한국어 검색", &["한", "국", "어", "검", "색"]),
            ("l'été", &["l", "ete"]),
            ("e\u{301}te\u{301}", &["ete"]),
            ("HTTP/2 3.14", &["http", "2", "3", "14"]),
            (" \t\n-!?", &[]),
        ];
        for (text, expected) in tests {
            assert_eq!(texts(text), expected, "{text}");
        }
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(texts(&"x".repeat(1000)), ["x".repeat(64)]);
    }

    proptest! {
        #[test]
        fn offsets_are_in_order_and_between_characters(text in ".{0,60}") {
            let mut end = 0;
            for token in words(&text) {
                prop_assert!(token.offset_from >= end && token.offset_to > token.offset_from);
                prop_assert!(text.get(token.offset_from..token.offset_to).is_some());
                end = token.offset_to;
            }
        }
    }
}
