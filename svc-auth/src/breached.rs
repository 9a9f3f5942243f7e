//! Passwords that everybody tries: those of public breaches, and what is made of them. Pure.

/// Sorted by bytes, in lower case; where they come from, `breached/README.md` says.
const LIST: &str = include_str!("../breached/passwords.txt");
/// Rows of keys that fingers run along.
const ROWS: [&str; 5] = [
    "1234567890",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "1q2w3e4r5t6y7u8i9o0p",
];
/// A piece that is repeated says nothing more the second time; a longer one may be a phrase of somebody's own.
const REPEATED_UNIT_MAX: usize = 4;
/// More signs than this around a word are worth something, unless they repeat.
const PADDING_MAX: usize = 3;

/// Whether the password is listed, or made of no more than two pieces that are listed, run along something, or repeat.
///
/// Few listed passwords are as long as ours must be. What people do to lengthen one is what guessers do.
pub(crate) fn is_breached(password: &str) -> bool {
    let folded = password.to_lowercase();
    is_of_known_pieces(&folded) || is_of_known_pieces(without_padding(&folded))
}

/// The password without signs around it that say nothing: a few, or the same ones again and again.
fn without_padding(text: &str) -> &str {
    let bare = text.trim_matches(|character: char| !character.is_alphanumeric());
    let says_nothing =
        |padding: &str| padding.chars().count() <= PADDING_MAX || is_run(padding) || is_repetition(padding);
    match text.split_once(bare) {
        Some((before, after)) if !bare.is_empty() && says_nothing(before) && says_nothing(after) => bare,
        _ => text,
    }
}

fn is_of_known_pieces(text: &str) -> bool {
    is_known(text)
        || text.char_indices().skip(1).any(|(middle, _)| {
            let (head, tail) = text.split_at(middle);
            is_known(head) && is_known(tail)
        })
}

fn is_known(piece: &str) -> bool {
    is_listed(piece) || is_run(piece) || is_repetition(piece)
}

/// A binary search in the text itself: no table is built at start, and none is held.
fn is_listed(wanted: &str) -> bool {
    let (mut low, mut high) = (0, LIST.len());
    while low < high {
        let middle = LIST.as_bytes()[low..(low + high) / 2]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(low, |newline| low + newline + 1);
        let length = LIST.as_bytes()[middle..high].iter().position(|byte| *byte == b'\n');
        let end = length.map_or(high, |length| middle + length);
        match LIST.as_bytes()[middle..end].cmp(wanted.as_bytes()) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    false
}

/// `aaaa`, `abcd`, `9876`, `qwer`, also backwards and, for rows of keys, around the end.
fn is_run(piece: &str) -> bool {
    let backwards: String = piece.chars().rev().collect();
    is_steady(piece) || is_along_keys(piece) || is_along_keys(&backwards)
}

fn is_steady(piece: &str) -> bool {
    let codes: Vec<i64> = piece.chars().map(|character| i64::from(u32::from(character))).collect();
    let steps = codes.windows(2).map(|pair| pair[1] - pair[0]);
    [0, 1, -1]
        .into_iter()
        .any(|step| steps.clone().all(|other| other == step))
}

fn is_along_keys(piece: &str) -> bool {
    ROWS.iter().any(|row| {
        let starts = row
            .char_indices()
            .map(|(start, _)| row[start..].chars().chain(row.chars().cycle()));
        starts
            .into_iter()
            .any(|keys| keys.take(piece.chars().count()).eq(piece.chars()))
    })
}

/// A short or known piece again and again, the last time perhaps cut off.
fn is_repetition(piece: &str) -> bool {
    let characters: Vec<char> = piece.chars().collect();
    (1..=characters.len() / 2).any(|length| {
        let repeats = characters
            .iter()
            .enumerate()
            .all(|(index, character)| *character == characters[index % length]);
        repeats && (length <= REPEATED_UNIT_MAX || is_listed(&characters[..length].iter().collect::<String>()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn checklist_6_2_4_every_listed_password_is_found_whatever_its_case() {
        assert!(LIST.lines().count() > 20_000);
        assert!(LIST.lines().is_sorted_by(|one, next| one.as_bytes() < next.as_bytes()));
        for password in LIST.lines() {
            assert!(
                is_breached(password) && is_breached(&password.to_uppercase()),
                "{password}"
            );
        }
    }

    #[test]
    fn what_people_do_to_lengthen_a_password_is_known() {
        for password in [
            "passwordpassword",
            "Password1234567!",
            "PASSWORD!!!!!!!!!!",
            "123456789012345678",
            "qwertyuiopasdfghjkl",
            "lkjhgfdsapoiuytrewq",
            "abcdefghijklmnop",
            "aaaaaaaaaaaaaaa",
            "               ",
            "abcabcabcabcabcab",
            "iloveyouiloveyou",
            "manchesterunited1",
            "1234567890qwerty",
            "!!!football123456!!!",
        ] {
            assert!(is_breached(password), "{password}");
        }
    }

    #[test]
    fn phrases_of_somebodys_own_are_not() {
        for password in [
            "correct horse battery",
            "correct horse battery staple",
            "a long enough passphrase",
            "my password is a secret to you",
            "fifteen letters ",
            "Tr0ub4dor&3 is not enough",
            "parsnip-gravel-oboe-42",
            "!#&%/(=?*^_:;abc",
            "\u{1f510}\u{1f9ed}\u{1f40c}\u{1f335}\u{1f9c0}\u{1f3ba}\u{1f6f6}\u{1faa4}\u{1f345}\u{1f576}\u{1f3d3}\u{1f9f5}\u{1f687}\u{1f4a1}\u{1f33d}",
        ] {
            assert!(!is_breached(password), "{password}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_drawn_by_lot_is_not(password in "[A-Za-z0-9]{20,256}") {
            prop_assert!(!is_breached(&password));
        }

        #[test]
        fn any_text_is_judged_without_panic(password in ".{0,256}") {
            is_breached(&password);
        }
    }
}
