//! The shape of an API token: `bmk_<environment>_<id 12><secret 32><checksum 6>`. Pure.
//!
//! The prefix lets scanners find leaked ones, the checksum lets everybody refuse a guess or a slip without asking anyone.

use bookmesh_proto::edge::v1::{Policy, policy::RateClass};

const PREFIX: &str = "bmk_";
/// What does not vary with the environment: id, secret, checksum.
const BODY_CHARACTERS: usize = API_TOKEN_ID_CHARACTERS + API_TOKEN_SECRET_CHARACTERS + CHECKSUM_CHARACTERS;
const CHECKSUM_CHARACTERS: usize = 6;
const ENVIRONMENT_MAX_CHARACTERS: usize = 12;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// What belongs to identity itself, and what admins do: no program of a user's may touch it.
const SCOPES_OF_PEOPLE: [&str; 2] = ["account:", "admin:"];

/// How long the id in a token is: 71 bits, so that no two are the same.
pub const API_TOKEN_ID_CHARACTERS: usize = 12;
/// How long the secret in a token is: 190 bits.
pub const API_TOKEN_SECRET_CHARACTERS: usize = 32;

/// An API token whose checksum is right. Whether it counts, svc-auth knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ApiToken<'a> {
    /// Which token it says it is.
    pub id: &'a str,
    /// What proves it.
    pub secret: &'a str,
}

impl<'a> ApiToken<'a> {
    /// Whether a bearer token is meant as one of these. No other token of ours has an underscore in its fourth place.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Answers nothing for what was never a token, so that no guess costs a look-up.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (environment, body) = text.strip_prefix(PREFIX)?.split_once('_')?;
        if !is_environment(environment) || body.len() != BODY_CHARACTERS || !body.bytes().all(is_digit) {
            return None;
        }
        let (signed, checksum) = text.split_at(text.len() - CHECKSUM_CHARACTERS);
        if checksum.as_bytes() != checksum_of(signed) {
            return None;
        }
        let (id, rest) = body.split_at(API_TOKEN_ID_CHARACTERS);
        let (secret, _) = rest.split_at(API_TOKEN_SECRET_CHARACTERS);
        Some(Self { id, secret })
    }

    /// The whole token, as its user gets it.
    pub fn write(&self, environment: &str) -> String {
        let mut text = format!("{}{}", api_token_prefix(environment, self.id), self.secret);
        let checksum = checksum_of(&text);
        text.extend(checksum.map(char::from));
        text
    }

    /// A character of ids and secrets for a random byte; nothing for some, so that all characters are as likely.
    pub fn character(random: u8) -> Option<char> {
        DIGITS
            .get(usize::from(random & 63))
            .map(|character| char::from(*character))
    }
}

/// How the token with this id begins: no secret.
pub fn api_token_prefix(environment: &str, id: &str) -> String {
    format!("{PREFIX}{environment}_{id}")
}

/// Whether tokens can name the environment: 1 to 12 lower-case letters and digits.
pub fn is_environment(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=ENVIRONMENT_MAX_CHARACTERS).contains(&text.len()) && text.bytes().all(is_plain)
}

/// Whether an API token may have the scope.
pub fn is_api_token_scope(scope: &str) -> bool {
    !SCOPES_OF_PEOPLE.iter().any(|people| scope.starts_with(people))
}

/// Whether an RPC takes API tokens at all: what names no scope cannot be granted, and identity is for people who logged in.
pub fn takes_api_tokens(policy: &Policy) -> bool {
    let is_identity = policy.rate_class() == RateClass::Identity;
    !is_identity && !policy.scopes.is_empty() && policy.scopes.iter().all(|scope| is_api_token_scope(scope))
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// CRC-32 in six digits of base 62, most significant first.
fn checksum_of(signed: &str) -> [u8; CHECKSUM_CHARACTERS] {
    let mut rest = crc32fast::hash(signed.as_bytes());
    let mut digits = [DIGITS[0]; CHECKSUM_CHARACTERS];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4q7XbT0aLw9Z";
    const SECRET: &str = "mUe0KfRz3sVnYc8HpGd1tJq6WoBi5x0m";

    fn token() -> String {
        ApiToken { id: ID, secret: SECRET }.write("live")
    }

    #[test]
    fn a_token_reads_back() {
        let text = token();

        assert!(text.starts_with("bmk_live_4q7XbT0aLw9ZmUe0"), "{text}");
        assert_eq!(text.len(), "bmk_live_".len() + 50);
        let read = ApiToken::parse(&text).map(|token| (token.id, token.secret));
        assert_eq!(read, Some((ID, SECRET)));
    }

    #[test]
    fn one_wrong_character_anywhere_makes_it_none() {
        let text = token();

        for position in 0..text.len() {
            for other in ["x", "0", "_", "-", "\u{7f}"] {
                let mut changed = text.clone();
                changed.replace_range(position..=position, other);
                assert!(changed == text || ApiToken::parse(&changed).is_none(), "{changed}");
            }
        }
    }

    #[test]
    fn what_is_no_token_is_none_whatever_it_is() {
        let text = token();
        let longer = format!("{text}0");
        let unchecked = "bmk_live_4q7XbT0aLw9ZmUe0KfRz3sVnYc8HpGd1tJq6WoBi5x0m000000";
        let no_environment = ApiToken { id: ID, secret: SECRET }.write("");
        let loud = ApiToken { id: ID, secret: SECRET }.write("LIVE");
        let wide = ApiToken {
            id: "é",
            secret: SECRET,
        }
        .write("live");
        for other in [
            "",
            "bmk_",
            "bmk__",
            "é",
            &text[1..],
            &longer,
            unchecked,
            &no_environment,
            &loud,
            &wide,
        ] {
            assert!(ApiToken::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn every_character_of_a_secret_is_as_likely_as_every_other() {
        let mut counts = std::collections::BTreeMap::new();
        for byte in 0..=255 {
            if let Some(character) = ApiToken::character(byte) {
                *counts.entry(character).or_insert(0) += 1;
            }
        }

        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| *count == 4));
    }

    #[test]
    fn an_rpc_takes_api_tokens_when_they_can_have_all_of_its_scopes() {
        let policy = |scopes: &[&str], class: RateClass| Policy {
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            rate_class: class.into(),
            ..Policy::default()
        };

        assert!(takes_api_tokens(&policy(&["tasks:read"], RateClass::Read)));
        assert!(!takes_api_tokens(&policy(&["tasks:read"], RateClass::Identity)));
        assert!(!takes_api_tokens(&policy(
            &["tasks:read", "account:read"],
            RateClass::Read
        )));
        assert!(!takes_api_tokens(&policy(&[], RateClass::Read)));
    }
}
