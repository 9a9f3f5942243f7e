//! What the mails say. Pure. Nothing that a caller chose goes into a subject, and of what goes into a text only addresses do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::mail_token::NewMailToken;

/// A mail to be: for the queue, sealed, and for nobody's log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub recipient: String,
    pub subject: String,
    pub text: String,
}

/// Where a browser reaches this installation: what links begin with.
#[derive(Debug, Clone)]
pub(crate) struct PublicUrl(String);

/// Writes the mails of this installation.
pub(crate) struct Letters {
    pub public_url: PublicUrl,
}

/// What was added to log in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WayIn {
    Passkey,
    Totp,
    Identity,
}

impl WayIn {
    fn as_str(self) -> &'static str {
        match self {
            WayIn::Passkey => "a passkey",
            WayIn::Totp => "an app that makes codes",
            WayIn::Identity => "an account at another provider",
        }
    }
}

impl FromStr for PublicUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<PublicUrl, &'static str> {
        let url = Url::parse(text).map_err(|_| "must be a URL")?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err("must begin with http:// or https:// and end with a path");
        }
        Ok(PublicUrl(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Letters {
    pub(crate) fn confirmation(&self, recipient: &str, token: &NewMailToken) -> Letter {
        let opening = "somebody, probably you, made an account at Bookmesh with this address.\n\
                       To show that the address is yours, open this link within 15 minutes:";
        let closing = "If it was not you, do nothing.";
        letter(
            recipient,
            "Confirm your address",
            &self.with_link(opening, "confirm-email", token, closing),
        )
    }

    /// To the owner of an account whose address somebody tried to register again.
    pub(crate) fn registered_before(&self, recipient: &str) -> Letter {
        let text = format!(
            "somebody, probably you, tried to make an account at Bookmesh with this address. There is one already.\n\
             \n\
             Log in with your password, or ask for a new one: {}/forgot-password\n\
             \n\
             If it was not you, do nothing: nobody was told that you have an account.",
            self.public_url
        );
        letter(recipient, "You have an account already", &text)
    }

    pub(crate) fn password_reset(&self, recipient: &str, token: &NewMailToken) -> Letter {
        let opening = "somebody, probably you, wants to set a new password for your account at Bookmesh.\n\
                       To do so, open this link within 15 minutes:";
        let closing = "If it was not you, do nothing: your password stays as it is.";
        letter(
            recipient,
            "Set a new password",
            &self.with_link(opening, "reset-password", token, closing),
        )
    }

    pub(crate) fn password_changed(&self, recipient: &str) -> Letter {
        let text = format!(
            "the password of your account at Bookmesh was changed.\n\
             \n\
             If it was not you, set a new one at once: {}/forgot-password",
            self.public_url
        );
        letter(recipient, "Your password was changed", &text)
    }

    pub(crate) fn way_in_added(&self, recipient: &str, what: WayIn) -> Letter {
        let what = what.as_str();
        let text = format!(
            "{what} was added to your account at Bookmesh, to log in with.\n\
             \n\
             If it was not you, set a new password at once, which logs everybody out: {}/forgot-password\n\
             Then log in and remove it.",
            self.public_url
        );
        letter(recipient, "A way to log in was added to your account", &text)
    }

    /// To the new address.
    pub(crate) fn email_change(&self, recipient: &str, token: &NewMailToken) -> Letter {
        let opening = "somebody, probably you, wants to use this address for an account at Bookmesh.\n\
                       To do so, open this link within 15 minutes:";
        let closing = "If it was not you, do nothing.";
        letter(
            recipient,
            "Confirm your new address",
            &self.with_link(opening, "confirm-email", token, closing),
        )
    }

    /// To the address as it was.
    pub(crate) fn email_change_notice(&self, recipient: &str, new_email: &str, token: &NewMailToken) -> Letter {
        let opening = format!(
            "the address of your account at Bookmesh is about to become\n\
             \n    {new_email}\n\
             \n\
             If it was you, do nothing. If it was not, open this link within 7 days. The account gets this address back,\n\
             everybody is logged out, and you are sent a mail to set a new password. Passkeys, apps that make codes and\n\
             linked accounts that were added since 7 days before this mail are removed:"
        );
        letter(
            recipient,
            "Your address is being changed",
            &self.with_link(
                &opening,
                "undo-email-change",
                token,
                "Keep this mail until the 7 days are over.",
            ),
        )
    }

    pub(crate) fn invitation(&self, recipient: &str, token: &NewMailToken) -> Letter {
        let opening = "you are invited to Bookmesh, a place for bookmarks.\n\
                       To make an account with this address, open this link within 7 days:";
        let closing = "If you do not want one, do nothing.";
        letter(
            recipient,
            "You are invited to Bookmesh",
            &self.with_link(opening, "register", token, closing),
        )
    }

    /// The token is in the part of the link that browsers keep to themselves, so that it is in no server's log.
    fn with_link(&self, opening: &str, page: &str, token: &NewMailToken, closing: &str) -> String {
        let (public_url, token) = (&self.public_url, token.reveal());
        format!(
            "{opening}\n\n    {public_url}/{page}#token={token}\n\nOr give your program this token:\n\n    {token}\n\n{closing}"
        )
    }
}

fn letter(recipient: &str, subject: &str, text: &str) -> Letter {
    Letter {
        recipient: recipient.to_owned(),
        subject: subject.to_owned(),
        text: format!("Hello,\n\n{text}\n\nBookmesh\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_begins_where_the_installation_is_and_keeps_its_token_from_servers() {
        let letters = Letters {
            public_url: "https://example.com/marks/".parse().unwrap(),
        };
        let token = NewMailToken::generate();

        let letter = letters.password_reset("ada@example.com", &token);

        let link = format!(
            "\n    https://example.com/marks/reset-password#token={}\n",
            token.reveal()
        );
        let alone = format!("\n    {}\n", token.reveal());
        assert!(
            letter.text.contains(&link) && letter.text.contains(&alone),
            "{}",
            letter.text
        );
        assert!(!letter.subject.contains(token.reveal()));
    }

    #[test]
    fn what_no_link_can_begin_with_is_refused() {
        for text in [
            "",
            "example.com",
            "ftp://example.com",
            "https://example.com/?a=b",
            "https://example.com/#a",
        ] {
            assert!(text.parse::<PublicUrl>().is_err(), "{text}");
        }
    }
}
