//! Recovery codes: 120 random bits each, shown once, kept as their SHA-256. Pure.

use aws_lc_rs::digest::{SHA256, digest};
use base32::Alphabet;
use service::status::Violation;

use crate::password::random_bytes;

/// How many an account gets.
pub(crate) const RECOVERY_CODES: usize = 10;
const CODE_BYTES: usize = 15;
const CODE_CHARACTERS: usize = 24;
/// Shown in groups, so that people can copy them.
const GROUP_CHARACTERS: usize = 6;
const ALPHABET: Alphabet = Alphabet::Rfc4648 { padding: false };

/// A code to be shown once.
pub(crate) struct RecoveryCode([u8; CODE_BYTES]);

/// What is kept of a code. It needs no salt and no slow hash: nobody can try 2^120.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecoveryCodeHash(Vec<u8>);

impl RecoveryCode {
    pub(crate) fn generate() -> RecoveryCode {
        RecoveryCode(random_bytes())
    }

    pub(crate) fn reveal(&self) -> String {
        let characters: Vec<char> = base32::encode(ALPHABET, &self.0).chars().collect();
        let groups: Vec<String> = characters
            .chunks(GROUP_CHARACTERS)
            .map(|group| group.iter().collect())
            .collect();
        groups.join("-")
    }

    pub(crate) fn hash(&self) -> RecoveryCodeHash {
        RecoveryCodeHash(digest(&SHA256, &self.0).as_ref().to_vec())
    }
}

impl RecoveryCodeHash {
    /// Of a code as people type it: in any case, with or without hyphens and spaces.
    pub(crate) fn of_typed(field: &str, text: &str) -> Result<RecoveryCodeHash, Violation> {
        let rule = || Violation::new(field, "must be 24 letters and digits, as they were shown");
        // Before anything is made of it, so that a long text costs nothing.
        if text.len() > 2 * CODE_CHARACTERS {
            return Err(rule());
        }
        let typed: String = text.chars().filter(|character| !"- ".contains(*character)).collect();
        let bytes = base32::decode(ALPHABET, &typed.to_ascii_uppercase()).ok_or_else(rule)?;
        let bytes: [u8; CODE_BYTES] = bytes.try_into().map_err(|_| rule())?;
        Ok(RecoveryCode(bytes).hash())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_24_characters_in_groups_and_no_two_are_the_same() {
        let (one, other) = (RecoveryCode::generate().reveal(), RecoveryCode::generate().reveal());

        assert_eq!(one.len(), CODE_CHARACTERS + 3);
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [6; 4]);
        assert_ne!(one, other);
    }

    #[test]
    fn a_code_is_known_again_however_it_is_typed() {
        let code = RecoveryCode::generate();
        let shown = code.reveal();

        for typed in [
            shown.clone(),
            shown.to_lowercase(),
            shown.replace('-', ""),
            format!(" {} ", shown.replace('-', " ")),
        ] {
            assert_eq!(
                RecoveryCodeHash::of_typed("code", &typed).unwrap(),
                code.hash(),
                "{typed}"
            );
        }
    }

    #[test]
    fn what_is_no_code_breaks_the_rule() {
        let long = "A".repeat(10_000);
        for text in ["", "ABC", "0BCDEF-GHIJKL-MNOPQR-STUVWX", "é", long.as_str()] {
            assert!(RecoveryCodeHash::of_typed("recovery_code", text).is_err());
        }
    }
}
