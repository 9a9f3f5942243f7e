//! The tokens that mails carry: 256 bits that show that somebody reads a mailbox. Pure but for their randomness.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use time::{Duration, OffsetDateTime};

use crate::password::random_bytes;

const TOKEN_BYTES: usize = 32;
/// Long enough to open a mail, too short to be found in an old one.
const LIFE: Duration = Duration::minutes(15);
/// Whoever had the address before may not read mail every day.
const UNDO_LIFE: Duration = Duration::days(7);
/// How far the clocks of replicas may differ.
const CLOCK_SKEW: Duration = Duration::minutes(1);

/// What a token is good for, and for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenPurpose {
    ConfirmEmail,
    ResetPassword,
    ChangeEmail,
    UndoEmailChange,
}

/// A new token, for the one mail that carries it.
pub(crate) struct NewMailToken {
    text: String,
    pub hash: Vec<u8>,
}

/// What stands in a request, as it is looked up.
pub(crate) struct MailToken {
    pub hash: Vec<u8>,
}

impl TokenPurpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            TokenPurpose::ConfirmEmail => "confirm_email",
            TokenPurpose::ResetPassword => "reset_password",
            TokenPurpose::ChangeEmail => "change_email",
            TokenPurpose::UndoEmailChange => "undo_email_change",
        }
    }

    pub(crate) fn life(self) -> Duration {
        match self {
            TokenPurpose::ConfirmEmail | TokenPurpose::ResetPassword | TokenPurpose::ChangeEmail => LIFE,
            TokenPurpose::UndoEmailChange => UNDO_LIFE,
        }
    }
}

impl NewMailToken {
    pub(crate) fn generate() -> NewMailToken {
        let text = BASE64_URL_SAFE_NO_PAD.encode(random_bytes::<TOKEN_BYTES>());
        NewMailToken {
            hash: hash(&text),
            text,
        }
    }

    /// The token, for the mail and nothing else.
    pub(crate) fn reveal(&self) -> &str {
        &self.text
    }
}

impl MailToken {
    /// Nothing when it cannot be one that was issued here.
    pub(crate) fn parse(text: &str) -> Option<MailToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == TOKEN_BYTES).then(|| MailToken { hash: hash(text) })
    }
}

/// Whether a token that was made and ends at these moments still counts. One from the future was made before the clock was set
/// back: it would count for longer than it should.
pub(crate) fn counts(made_at: OffsetDateTime, ends_at: OffsetDateTime, now: OffsetDateTime) -> bool {
    now < ends_at && made_at <= now + CLOCK_SKEW
}

fn hash(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const MADE: OffsetDateTime = datetime!(2026-11-26 12:00 UTC);

    #[test]
    fn a_token_is_found_by_the_hash_of_what_was_mailed() {
        let token = NewMailToken::generate();

        assert_eq!(token.reveal().len(), 43);
        assert_eq!(MailToken::parse(token.reveal()).unwrap().hash, token.hash);
        assert_ne!(NewMailToken::generate().hash, token.hash);
    }

    #[test]
    fn what_cannot_be_a_token_is_none() {
        let token = NewMailToken::generate();
        let long = format!("{}AAAA", token.reveal());
        for text in ["", "token", &token.reveal()[1..], &long, "ä", "\0"] {
            assert!(MailToken::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_token_counts_until_its_end_and_not_when_the_clock_was_set_back() {
        let ends_at = MADE + LIFE;
        let at = |moment| counts(MADE, ends_at, moment);

        assert!(at(MADE) && at(ends_at - Duration::SECOND) && at(MADE - Duration::SECOND));
        assert!(!at(ends_at) && !at(MADE - Duration::HOUR));
    }
}
