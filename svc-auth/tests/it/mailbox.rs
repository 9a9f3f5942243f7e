//! What tests read of the mails in a folder, and a small mail server.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::app::TestApp;

/// A mail as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub subject: String,
    pub text: String,
}

impl Mail {
    fn parse(message: &str) -> Mail {
        let subject = message.lines().find_map(|line| line.strip_prefix("Subject: "));
        Mail {
            subject: subject.unwrap_or_default().to_owned(),
            text: message.to_owned(),
        }
    }

    /// The token, which stands alone on its line.
    pub(crate) fn token(&self) -> String {
        let is_token = |line: &&str| {
            let may_be_in_one = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
            line.len() == 43 && line.chars().all(may_be_in_one)
        };
        let mut lines = self.text.lines().map(str::trim);
        lines.find(is_token).unwrap().to_owned()
    }
}

impl TestApp {
    /// What was sent to an address, oldest first, once nothing waits any more.
    pub(crate) async fn mails_to(&self, email: &str) -> Vec<Mail> {
        let mut admin = self.admin().await;
        let waiting = "SELECT count(*) FROM mails WHERE done_at IS NULL";
        while sqlx::query_scalar::<_, i64>(waiting)
            .fetch_one(&mut admin)
            .await
            .unwrap()
            > 0
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let header = format!("To: {email}");
        let is_to_us = |mail: &Mail| mail.text.lines().any(|line| line == header);
        all_mails(self.keys()).into_iter().filter(is_to_us).collect()
    }

    pub(crate) async fn last_token_to(&self, email: &str) -> String {
        self.mails_to(email).await.last().unwrap().token()
    }

    pub(crate) async fn subjects_to(&self, email: &str) -> Vec<String> {
        let mails = self.mails_to(email).await;
        mails.into_iter().map(|mail| mail.subject).collect()
    }
}

/// What is in the folder beside the keys, oldest first.
pub(crate) fn all_mails(keys: &Path) -> Vec<Mail> {
    let mut paths: Vec<_> = fs::read_dir(keys.join("mail"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| Mail::parse(&fs::read_to_string(path).unwrap()))
        .collect()
}

/// How a mail server of a test behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    Takes,
    /// Answers 550 to every recipient, and repeats the address.
    RefusesRecipients,
    /// Never answers once it was told a recipient.
    HangsAtRecipients,
}

/// A mail server of one test; gone when dropped.
pub(crate) struct MailServer {
    pub messages: Arc<Mutex<Vec<String>>>,
    /// How many recipients it was told.
    pub recipients: Arc<Mutex<usize>>,
    serving: JoinHandle<()>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl MailServer {
    pub(crate) async fn start(port: u16, manners: Manners) -> MailServer {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let messages = Arc::new(Mutex::new(Vec::new()));
        let recipients = Arc::new(Mutex::new(0));
        let (kept, told) = (Arc::clone(&messages), Arc::clone(&recipients));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(stream, manners, Arc::clone(&kept), Arc::clone(&told)));
            }
        });
        MailServer {
            messages,
            recipients,
            serving,
        }
    }

    /// Waits for as many messages.
    pub(crate) async fn receive(&self, count: usize) -> Vec<String> {
        loop {
            let messages = self.messages.lock().unwrap().clone();
            if messages.len() >= count {
                return messages;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn converse(
    stream: TcpStream,
    manners: Manners,
    messages: Arc<Mutex<Vec<String>>>,
    recipients: Arc<Mutex<usize>>,
) -> Option<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 test\r\n").await.ok()?;
    while let Some(line) = lines.next_line().await.ok()? {
        let answer = match line.get(..4)? {
            "EHLO" => "250 test\r\n".to_owned(),
            "RCPT" => {
                *recipients.lock().unwrap() += 1;
                match manners {
                    Manners::Takes => "250 ok\r\n".to_owned(),
                    Manners::RefusesRecipients => format!("550 nobody here: {line}\r\n"),
                    Manners::HangsAtRecipients => std::future::pending().await,
                }
            }
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await.ok()?;
                let mut message = String::new();
                while let Some(line) = lines.next_line().await.ok()?.filter(|line| line != ".") {
                    message.push_str(&line);
                    message.push('\n');
                }
                messages.lock().unwrap().push(message);
                "250 ok\r\n".to_owned()
            }
            "QUIT" => "221 bye\r\n".to_owned(),
            _ => "250 ok\r\n".to_owned(),
        };
        writer.write_all(answer.as_bytes()).await.ok()?;
    }
    Some(())
}
