//! What a person types to register or to log in, checked.

use secrecy::{ExposeSecret, SecretString};
use service::status::Violation;

use crate::{breached::is_breached, error::Error};

const EMAIL_MAX_BYTES: usize = 254;
const PASSWORD_MIN_CHARACTERS: usize = 15;
const PASSWORD_MAX_CHARACTERS: usize = 256;
/// Counted before the characters are, so that a flood of bytes costs nothing.
const PASSWORD_MAX_BYTES: usize = 1_024;
const DISPLAY_NAME_MAX_CHARACTERS: usize = 200;
/// Of what a user calls a session or an API token.
const NAME_MAX_CHARACTERS: usize = 100;

/// An e-mail address as it was given.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Email(String);

/// A password exactly as it was received.
pub(crate) struct Password(SecretString);

/// A checked request to register.
pub(crate) struct Registration {
    pub email: Email,
    pub password: Password,
    pub display_name: String,
}

impl Registration {
    /// Answers every broken rule at once.
    pub(crate) fn parse(email: String, password: String, display_name: String) -> Result<Registration, Vec<Violation>> {
        let display_name_violation = display_name_rule(&display_name).map(|rule| Violation::new("display_name", rule));
        match (
            Email::parse(email),
            Password::parse_new(password),
            display_name_violation,
        ) {
            (Ok(email), Ok(password), None) => Ok(Registration {
                email,
                password,
                display_name,
            }),
            (email, password, display_name) => Err([email.err(), password.err(), display_name]
                .into_iter()
                .flatten()
                .collect()),
        }
    }
}

impl Email {
    pub(crate) fn parse(text: String) -> Result<Email, Violation> {
        match email_rule(&text) {
            None => Ok(Email(text)),
            Some(rule) => Err(Violation::new("email", rule)),
        }
    }

    /// An address that was checked before it was stored.
    pub(crate) fn stored(text: String) -> Email {
        Email(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whoever came from a provider that vouches for no address has none.
    pub(crate) fn is_missing(&self) -> bool {
        self.0.is_empty()
    }

    /// What makes two addresses the same.
    pub(crate) fn key(&self) -> String {
        Email::key_of(&self.0)
    }

    /// The same of a text that may be no address.
    pub(crate) fn key_of(text: &str) -> String {
        text.to_lowercase()
    }
}

impl Password {
    /// A password to be: long enough to resist guessing without further rules.
    pub(crate) fn parse_new(text: String) -> Result<Password, Violation> {
        match new_password_rule(&text) {
            None => Ok(Password(text.into())),
            Some(rule) => Err(Violation::new("password", rule)),
        }
    }

    /// A password to be compared. Its only rule is that it does not cost too much to hash.
    pub(crate) fn parse_given(text: String) -> Result<Password, Violation> {
        match given_password_rule(&text) {
            None => Ok(Password(text.into())),
            Some(rule) => Err(Violation::new("password", rule)),
        }
    }

    /// Refuses, by the name of its field, a password that everybody tries.
    pub(crate) fn refuse_breached(&self, field: &'static str) -> Result<(), Error> {
        if is_breached(self.0.expose_secret()) {
            return Err(Error::PasswordBreached { field });
        }
        Ok(())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

/// The same violation, of the field `field`.
pub(crate) fn named<T>(field: &str, parsed: Result<T, Violation>) -> Result<T, Violation> {
    parsed.map_err(|violation| Violation::new(field, violation.description))
}

/// Only what every address has: whether it can receive mail, sending one tells.
fn email_rule(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("must not be empty");
    }
    if text.len() > EMAIL_MAX_BYTES {
        return Some("must be at most 254 bytes long");
    }
    if text
        .chars()
        .any(|character| character.is_control() || character.is_whitespace())
    {
        return Some("must not contain spaces or control characters");
    }
    let is_address = text
        .rsplit_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && is_domain(domain));
    (!is_address).then_some("must be an e-mail address like name@example.com")
}

fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| !label.is_empty())
}

fn new_password_rule(text: &str) -> Option<&'static str> {
    if let Some(rule) = given_password_rule(text) {
        return Some(rule);
    }
    let characters = text.chars().count();
    (!(PASSWORD_MIN_CHARACTERS..=PASSWORD_MAX_CHARACTERS).contains(&characters))
        .then_some("must be 15 to 256 characters long")
}

fn given_password_rule(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("must not be empty");
    }
    (text.len() > PASSWORD_MAX_BYTES).then_some("must be at most 1,024 bytes long")
}

fn display_name_rule(text: &str) -> Option<&'static str> {
    if text.chars().any(char::is_control) {
        return Some("must not contain control characters");
    }
    (text.chars().count() > DISPLAY_NAME_MAX_CHARACTERS).then_some("must be at most 200 characters long")
}

/// A name that was not typed here, made to fit.
pub(crate) fn clean_display_name(text: &str) -> String {
    let visible = text.chars().filter(|character| !character.is_control());
    visible.take(DISPLAY_NAME_MAX_CHARACTERS).collect()
}

/// What a session may be called.
pub(crate) fn session_name_rule(text: &str) -> Option<&'static str> {
    if text.chars().any(char::is_control) {
        return Some("must not contain control characters");
    }
    (text.chars().count() > NAME_MAX_CHARACTERS).then_some("must be at most 100 characters long")
}

/// What an API token or a passkey may be called.
pub(crate) fn token_name_rule(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        return Some("must not be empty");
    }
    session_name_rule(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse battery";

    fn broken(email: &str, password: &str, display_name: &str) -> Vec<String> {
        Registration::parse(email.into(), password.into(), display_name.into())
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|violation| format!("{} {}", violation.field, violation.description))
            .collect()
    }

    #[test]
    fn ordinary_and_unusual_addresses_are_taken() {
        for email in [
            "ada@example.com",
            "a@localhost",
            "ö.å+tag@bücher.example",
            "\"a@b\"@example.com",
        ] {
            assert_eq!(broken(email, PASSWORD, ""), [""; 0], "{email}");
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(250));
        for email in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a b@example.com",
            "a@b..c",
            "a\0@example.com",
            "a@b\n",
            &long,
        ] {
            assert_eq!(broken(email, PASSWORD, "").len(), 1, "{email:?}");
        }
    }

    #[test]
    fn case_does_not_tell_two_addresses_apart() {
        let key = |text: &str| Email::parse(text.to_owned()).ok().unwrap().key();

        assert_eq!(key("Ada@Example.COM"), key("ada@example.com"));
        assert_eq!(key("ÖRJAN@example.com"), key("örjan@example.com"));
    }

    #[test]
    fn a_password_has_15_to_256_characters_of_any_kind() {
        for good in [
            "               ",
            &"é".repeat(256),
            "\0\0\0 with NUL \u{1F510}\n",
            &"🔐".repeat(256),
        ] {
            assert_eq!(broken("a@b", good, ""), [""; 0], "{good:?}");
        }
        for bad in ["", "fourteen chars", &"a".repeat(257), &"🔐".repeat(257)] {
            assert_eq!(broken("a@b", bad, "").len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn every_broken_rule_is_named_at_once() {
        insta::assert_debug_snapshot!(broken("ada", "short", &"x".repeat(201)), @r#"
        [
            "email must be an e-mail address like name@example.com",
            "password must be 15 to 256 characters long",
            "display_name must be at most 200 characters long",
        ]
        "#);
    }
}
