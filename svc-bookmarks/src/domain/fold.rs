//! Folding: the form in which texts are compared, without case and without accents.

use unicode_normalization::{UnicodeNormalization, char::compose};

/// The folded form of a text.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        fold_character(character, &mut folded);
    }
    folded
}

/// Appends the folded form of one character.
pub fn fold_character(character: char, folded: &mut String) {
    if character.is_ascii() {
        folded.push(character.to_ascii_lowercase());
        return;
    }
    // Hangul would fall apart into its letters.
    if is_hangul_syllable(character) {
        folded.push(character);
        return;
    }
    for part in character.nfkd().filter(|part| !is_accent(*part)) {
        for lower in part.to_lowercase().filter(|lower| !is_accent(*lower)) {
            push_plain(lower, folded);
        }
    }
}

/// Letters with a stroke or a ligature have no decomposition.
fn push_plain(character: char, folded: &mut String) {
    match character {
        'ß' => folded.push_str("ss"),
        'æ' => folded.push_str("ae"),
        'œ' => folded.push_str("oe"),
        'ø' => folded.push('o'),
        'đ' | 'ð' => folded.push('d'),
        'ł' => folded.push('l'),
        'þ' => folded.push_str("th"),
        'ħ' => folded.push('h'),
        'ı' => folded.push('i'),
        'ς' => folded.push('σ'),
        // Voiced kana come apart too, and are other letters than the plain ones.
        '\u{3099}' | '\u{309a}' => {
            let voiced = folded.chars().next_back().and_then(|plain| compose(plain, character));
            if let Some(voiced) = voiced {
                folded.pop();
                folded.push(voiced);
            }
        }
        plain => folded.push(plain),
    }
}

fn is_hangul_syllable(character: char) -> bool {
    matches!(character, '\u{ac00}'..='\u{d7a3}')
}

/// Combining marks of Latin, Greek and Cyrillic, Hebrew points and Arabic vowel signs. Those of Indic scripts are
/// vowels: without them words become others.
fn is_accent(character: char) -> bool {
    matches!(
        character,
        '\u{300}'..='\u{36f}'
            | '\u{591}'..='\u{5bd}'
            | '\u{5bf}'
            | '\u{5c1}'..='\u{5c2}'
            | '\u{5c4}'..='\u{5c5}'
            | '\u{5c7}'
            | '\u{64b}'..='\u{652}'
            | '\u{670}'
            | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}'
            | '\u{fe20}'..='\u{fe2f}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_and_accents_fold() {
        for (text, folded) in [
            ("Rust", "rust"),
            ("Crème BRÛLÉE", "creme brulee"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("Łódź", "lodz"),
            ("Ærøskøbing", "aeroskobing"),
            ("İstanbul", "istanbul"),
            ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
            ("Ｆｕｌｌ", "full"),
            ("한국어", "한국어"),
            ("がぎ", "がぎ"),
            ("ガ", "ガ"),
            ("हिन्दी", "हिन्दी"),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
    }

    #[test]
    fn composed_and_decomposed_spellings_are_the_same() {
        assert_eq!(fold("é"), fold("e\u{301}"));
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing_more(text in ".{0,40}") {
            let once = fold(&text);

            prop_assert_eq!(fold(&once), once);
        }
    }
}
