//! Handing one mail over: to a mail server, or in development into a folder.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    address::Envelope,
    message::{Mailbox, header::ContentType},
    transport::smtp,
};
use secrecy::{ExposeSecret, SecretString};
use service::config::Environment;
use tokio::time::timeout;
use uuid::Uuid;

use crate::letters::Letter;

/// For one step of the conversation, and for all of it: shorter than a stopping process is given.
const STEP_TIMEOUT: Duration = Duration::from_secs(8);
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(15);
/// A mail server says with these that it will never take mail for this address. Others, such as a wrong password of ours, can be mended.
const REFUSED_FOR_GOOD: [&str; 3] = ["550", "551", "553"];

/// Where mails go, and from whom.
pub(crate) struct MailConfig {
    way: Way,
    from: Mailbox,
}

enum Way {
    Smtp(SecretString),
    Folder(PathBuf),
}

/// Hands mails over.
pub(crate) struct Postman {
    transport: Transport,
    from: Mailbox,
}

enum Transport {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Folder(PathBuf),
}

/// What became of a mail. The reasons name no address, so that they can be logged.
pub(super) enum Delivery {
    Sent,
    /// Never to be tried again.
    Refused(String),
    Failed(String),
}

impl MailConfig {
    /// `AUTH_MAIL_SMTP_URL` counts before `AUTH_MAIL_FOLDER`.
    pub(crate) fn from_environment(environment: &mut Environment) -> Option<MailConfig> {
        let from: Option<Option<Mailbox>> = environment.optional("AUTH_MAIL_FROM");
        let url: Option<Option<String>> = environment.optional("AUTH_MAIL_SMTP_URL");
        let folder: Option<Option<PathBuf>> = environment.optional("AUTH_MAIL_FOLDER");
        let (from, url, folder) = (from?, url?, folder?);
        match (url, folder) {
            (Some(url), _) => {
                if smtp_transport(&url).is_err() {
                    return environment.wrong(
                        "AUTH_MAIL_SMTP_URL",
                        "must be like smtps://user:password@mail.example.com",
                    );
                }
                let Some(from) = from else {
                    return environment.wrong("AUTH_MAIL_FROM", "is missing");
                };
                let way = Way::Smtp(SecretString::from(url));
                Some(MailConfig { way, from })
            }
            (None, Some(folder)) => Some(MailConfig {
                way: Way::Folder(folder),
                from: from.unwrap_or_else(nobody),
            }),
            (None, None) => environment.wrong("AUTH_MAIL_SMTP_URL", "is missing, and so is AUTH_MAIL_FOLDER"),
        }
    }
}

impl Postman {
    pub(crate) fn new(config: &MailConfig) -> anyhow::Result<Postman> {
        let transport = match &config.way {
            // The cause would print the password in the URL.
            Way::Smtp(url) => Transport::Smtp(
                smtp_transport(url.expose_secret())
                    .ok()
                    .context("reading AUTH_MAIL_SMTP_URL")?,
            ),
            Way::Folder(folder) => {
                std::fs::create_dir_all(folder).context("making the folder of AUTH_MAIL_FOLDER")?;
                Transport::Folder(folder.clone())
            }
        };
        Ok(Postman {
            transport,
            from: config.from.clone(),
        })
    }

    pub(super) async fn deliver(&self, id: Uuid, letter: &Letter) -> Delivery {
        let Ok(message) = self.message(id, letter) else {
            return Delivery::Refused("its address cannot be written".to_owned());
        };
        let delivery = async {
            match &self.transport {
                Transport::Smtp(smtp) => by_smtp(smtp, message).await,
                Transport::Folder(folder) => into_folder(folder.clone(), id, message).await,
            }
        };
        let late = |_| Delivery::Failed("the mail server is too slow".to_owned());
        timeout(DELIVERY_TIMEOUT, delivery).await.unwrap_or_else(late)
    }

    /// The address is parsed, not pasted, and headers are encoded: a line break in either cannot begin another header. A mail that
    /// is sent twice has the same id twice, so that mailboxes can tell.
    fn message(&self, id: Uuid, letter: &Letter) -> anyhow::Result<Message> {
        let address: Address = letter.recipient.parse().context("parsing the address")?;
        // Told, because what a header is made of is not always read back from it: a quoted name is not.
        let envelope =
            Envelope::new(Some(self.from.email.clone()), vec![address.clone()]).context("making the envelope")?;
        let message = Message::builder()
            .envelope(envelope)
            .from(self.from.clone())
            .to(Mailbox::new(None, address))
            .subject(&letter.subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.clone());
        message.context("writing the mail")
    }
}

fn smtp_transport(url: &str) -> Result<AsyncSmtpTransport<Tokio1Executor>, smtp::Error> {
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)?;
    Ok(builder.timeout(Some(STEP_TIMEOUT)).build())
}

async fn by_smtp(smtp: &AsyncSmtpTransport<Tokio1Executor>, message: Message) -> Delivery {
    match smtp.send(message).await {
        Ok(_) => Delivery::Sent,
        Err(error) => {
            let reason = without_address(&error);
            let code = error.status().map(|code| code.to_string());
            if code.is_some_and(|code| REFUSED_FOR_GOOD.contains(&code.as_str())) {
                return Delivery::Refused(reason);
            }
            Delivery::Failed(reason)
        }
    }
}

/// Written beside its place and moved there, so that nobody reads half a mail.
async fn into_folder(folder: PathBuf, id: Uuid, message: Message) -> Delivery {
    let write = move || {
        let unfinished = folder.join(format!(".{id}.tmp"));
        std::fs::write(&unfinished, message.formatted())?;
        std::fs::rename(&unfinished, folder.join(format!("{id}.eml")))
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(Ok(())) => Delivery::Sent,
        Ok(Err(error)) => Delivery::Failed(format!("writing it into the folder: {error}")),
        Err(_) => Delivery::Failed("writing it into the folder panicked".to_owned()),
    }
}

/// What a server answers may repeat the address that it was given: only its code is told.
fn without_address(error: &smtp::Error) -> String {
    match error.status() {
        Some(code) => format!("the mail server answered {code}"),
        None if error.is_response() => "the mail server's answer was not understood".to_owned(),
        None => error.to_string(),
    }
}

fn nobody() -> Mailbox {
    let address = Address::new("bookmesh", "localhost").expect("is an address");
    Mailbox::new(Some("Bookmesh".to_owned()), address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(recipient: &str, subject: &str) -> String {
        let folder = tempfile::TempDir::new().unwrap();
        let config = MailConfig {
            way: Way::Folder(folder.path().to_owned()),
            from: nobody(),
        };
        let letter = Letter {
            recipient: recipient.to_owned(),
            subject: subject.to_owned(),
            text: "Hello,\n".to_owned(),
        };
        let message = Postman::new(&config).unwrap().message(Uuid::nil(), &letter);
        message.map_or_else(
            |error| format!("{error:#}"),
            |message| String::from_utf8(message.formatted()).unwrap(),
        )
    }

    #[test]
    fn ordinary_and_unusual_addresses_are_written() {
        for address in [
            "ada@example.com",
            "ada+tag@example.com",
            "a@localhost",
            "\"a@b\"@example.com",
            "ö.å@bücher.example",
        ] {
            assert!(
                written(address, "Hello").contains("\r\nTo: "),
                "{}",
                written(address, "Hello")
            );
        }
    }

    #[test]
    fn neither_an_address_nor_a_subject_begins_another_header() {
        for hostile in [
            "a@example.com\r\nBcc: all@example.com",
            "a@example.com\nBcc: b",
            "a@b.example, all@example.com",
            "<a@example.com>",
        ] {
            let refused = written(hostile, "Hello");
            assert!(!refused.contains("Bcc:") && !refused.contains("To:"), "{refused}");

            let subject = written("a@example.com", hostile);
            assert!(!subject.contains("\nBcc:"), "{subject}");
        }
    }
}
