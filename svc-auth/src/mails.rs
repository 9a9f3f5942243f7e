//! Putting mails into the queue, in the transaction of the change that they tell of.

use std::sync::Arc;

use anyhow::Context;
use aws_lc_rs::hmac;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    error::Error,
    letters::{Letter, Letters},
    master_key::MasterKey,
    registration::Email,
    store::{self, NewMailRow},
};

/// For how long a mail that says what has happened is tried.
pub(crate) const NOTICE_LIFE: Duration = Duration::days(3);

/// What a mail is about. Shares are counted by it, so that a flood of one kind does not keep out another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MailKind {
    Confirmation,
    RegisteredBefore,
    PasswordReset,
    EmailChange,
    EmailChangeNotice,
    Invitation,
    /// Of what the owner has done: never held back.
    Notice,
}

/// Whom a mail goes to, and whose change it tells of.
#[derive(Clone, Copy)]
pub(crate) struct Addressee<'a> {
    /// The user whose transaction it is; nobody's otherwise.
    pub user_id: Option<Uuid>,
    pub email: &'a Email,
}

/// A mail to be put.
pub(crate) struct Mail<'a> {
    pub to: Addressee<'a>,
    pub kind: MailKind,
    pub letter: &'a Letter,
    /// For how long it is of use.
    pub life: Duration,
}

/// The way into the queue.
pub(crate) struct Mails {
    pub letters: Letters,
    master_key: Arc<MasterKey>,
    recipients: hmac::Key,
    hourly_max: i64,
    waker: Arc<Notify>,
}

impl MailKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            MailKind::Confirmation => "confirmation",
            MailKind::RegisteredBefore => "registered_before",
            MailKind::PasswordReset => "password_reset",
            MailKind::EmailChange => "email_change",
            MailKind::EmailChangeNotice => "email_change_notice",
            MailKind::Invitation => "invitation",
            MailKind::Notice => "notice",
        }
    }
}

impl Mails {
    pub(crate) fn new(letters: Letters, master_key: Arc<MasterKey>, hourly_max: i64) -> Mails {
        Mails {
            letters,
            recipients: master_key.hmac_key("count mails by recipient"),
            master_key,
            hourly_max,
            waker: Arc::default(),
        }
    }

    /// For the task that sends.
    pub(crate) fn waker(&self) -> Arc<Notify> {
        Arc::clone(&self.waker)
    }

    /// To be called after the commit. Forgotten, or sent by another process, the mail is found within a second.
    pub(crate) fn wake(&self) {
        self.waker.notify_one();
    }

    /// Whether one more mail of a kind may go to an address now: nobody's mailbox is flooded from here. The answer holds until the
    /// end of the transaction.
    pub(crate) async fn has_room(
        &self,
        connection: &mut PgConnection,
        email: &Email,
        kind: MailKind,
        now: OffsetDateTime,
    ) -> sqlx::Result<bool> {
        let count = store::count_mails(connection, &self.recipient(email), kind.as_str(), now).await?;
        Ok(count < self.hourly_max)
    }

    pub(crate) async fn put(
        &self,
        connection: &mut PgConnection,
        mail: Mail<'_>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        if mail.to.email.is_missing() {
            return Ok(());
        }
        let row = self.row(&mail, now)?;
        Ok(store::put_mail(connection, &row).await?)
    }

    /// Puts a mail that is never sent, and counts: the same work.
    pub(crate) async fn put_decoy(
        &self,
        connection: &mut PgConnection,
        mail: Mail<'_>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let row = NewMailRow {
            is_decoy: true,
            ..self.row(&mail, now)?
        };
        Ok(store::put_mail(connection, &row).await?)
    }

    fn row(&self, mail: &Mail<'_>, now: OffsetDateTime) -> Result<NewMailRow, Error> {
        let id = service::id::generate();
        let content = serde_json::to_vec(mail.letter).context("writing a mail")?;
        Ok(NewMailRow {
            id,
            user_id: mail.to.user_id,
            kind: mail.kind.as_str(),
            recipient: self.recipient(mail.to.email),
            sealed: self.master_key.seal(&purpose(id), &content),
            is_decoy: false,
            created_at: now,
            ends_at: now + mail.life,
        })
    }

    fn recipient(&self, email: &Email) -> Vec<u8> {
        hmac::sign(&self.recipients, email.key().as_bytes()).as_ref().to_vec()
    }
}

/// Opens what [`Mails`] has sealed.
pub(crate) fn open(master_key: &MasterKey, id: Uuid, sealed: &[u8]) -> anyhow::Result<Letter> {
    let content = master_key.open(&purpose(id), sealed)?;
    // The cause would print what is in the mail.
    serde_json::from_slice(&content).map_err(|_| anyhow::anyhow!("a mail in the queue is not readable"))
}

fn purpose(id: Uuid) -> String {
    format!("mail {id}")
}
