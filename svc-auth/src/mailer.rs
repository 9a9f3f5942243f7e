//! Sending what waits in the queue of mails: each at least once, by whichever replica takes it first.

mod postman;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration as StdDuration,
};

use anyhow::Context;
use futures::future::join_all;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use service::{clock, metrics::Metrics};
use sqlx::{PgConnection, PgPool};
use time::{Duration, OffsetDateTime};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use postman::{MailConfig, Postman};

use crate::{
    mails::open,
    master_key::MasterKey,
    store::{self, TakenMail},
};
use postman::Delivery;

/// How many mails one replica sends at a time.
const AT_A_TIME: i64 = 8;
/// A mail that another process has put is found after this long.
const POLL: StdDuration = StdDuration::from_secs(1);
const MEASURE_EVERY: StdDuration = StdDuration::from_secs(5);
/// Whoever has taken a mail sends it within this time, or is dead. Longer than the postman's own deadline.
const TAKEN_FOR: Duration = Duration::seconds(60);
const FIRST_PAUSE: Duration = Duration::seconds(2);
const LONGEST_PAUSE: Duration = Duration::minutes(5);

/// The task that sends.
pub(crate) struct Mailer {
    pub pool: PgPool,
    pub master_key: Arc<MasterKey>,
    pub postman: Postman,
    pub waker: Arc<Notify>,
    pub counts: MailCounts,
}

/// What is to be noted of a mail that was taken.
enum Outcome {
    /// Sent, or given up.
    Done,
    PutOff(Duration),
}

/// What is counted of mails.
#[derive(Default)]
pub(crate) struct MailCounts {
    sent: Counter,
    failed: Counter,
    given_up: Counter,
    waiting: Gauge,
    oldest_age_seconds: Gauge<f64, AtomicU64>,
}

impl MailCounts {
    pub(crate) fn register(metrics: &Metrics) -> MailCounts {
        let counts = MailCounts::default();
        metrics.register("mails_sent", "Mails handed to the mail server", counts.sent.clone());
        let help = "Attempts to send a mail that failed; it is tried again";
        metrics.register("mails_failed", help, counts.failed.clone());
        let help = "Mails that were never sent: refused for good, or too old to be of use";
        metrics.register("mails_given_up", help, counts.given_up.clone());
        metrics.register("mails_waiting", "Mails that wait to be sent", counts.waiting.clone());
        let help = "How long the oldest waiting mail has waited";
        metrics.register("mails_oldest_age_seconds", help, counts.oldest_age_seconds.clone());
        counts
    }
}

impl Mailer {
    /// Works until `shutdown`. Postgres and the mail server may go and come back meanwhile.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut failing = false;
        let mut measured_at = None::<Instant>;
        while !shutdown.is_cancelled() {
            let is_measuring = measured_at.is_none_or(|moment| moment.elapsed() >= MEASURE_EVERY);
            match self.take_turn(is_measuring).await {
                Ok(sent) => {
                    failing = false;
                    if is_measuring {
                        measured_at = Some(Instant::now());
                    }
                    // A full turn: more may wait.
                    if sent == usize::try_from(AT_A_TIME).unwrap_or(usize::MAX) {
                        continue;
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(
                            error = format!("{error:#}"),
                            "the queue of mails cannot be read, trying again"
                        );
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.waker.notified(), if !failing => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        Ok(())
    }

    /// Answers how many mails it took.
    async fn take_turn(&self, is_measuring: bool) -> anyhow::Result<usize> {
        let now = clock::now();
        let mut transaction = store::begin_as_sender(&self.pool).await.context("beginning")?;
        let taken = store::take_mails(&mut transaction, AT_A_TIME, now + TAKEN_FOR, now)
            .await
            .context("taking mails")?;
        if is_measuring {
            self.sweep_and_measure(&mut transaction, now)
                .await
                .context("sweeping")?;
        }
        transaction.commit().await.context("committing")?;
        let outcomes = join_all(taken.iter().map(|mail| self.deal_with(mail, now))).await;
        let outcomes: Vec<(Uuid, Outcome)> = taken.iter().map(|mail| mail.id).zip(outcomes).collect();
        self.note(&outcomes).await.context("noting what became of mails")?;
        Ok(taken.len())
    }

    async fn sweep_and_measure(&self, connection: &mut PgConnection, now: OffsetDateTime) -> sqlx::Result<()> {
        store::sweep_mails(connection, now).await?;
        store::sweep_mail_tokens(connection).await?;
        store::sweep_invitations(connection).await?;
        let (waiting, since) = store::waiting_mails(connection).await?;
        self.counts.waiting.set(waiting);
        let age = since.map_or(0.0, |since| (now - since).as_seconds_f64().max(0.0));
        self.counts.oldest_age_seconds.set(age);
        Ok(())
    }

    async fn deal_with(&self, mail: &TakenMail, taken_at: OffsetDateTime) -> Outcome {
        if mail.is_decoy {
            return Outcome::Done;
        }
        if mail.ends_at <= taken_at {
            return self.give_up(mail, "it is too old to be of use");
        }
        let Ok(letter) = open(&self.master_key, mail.id, &mail.sealed) else {
            return self.give_up(mail, "it was sealed with another master key");
        };
        match self.postman.deliver(mail.id, &letter).await {
            Delivery::Sent => {
                self.counts.sent.inc();
                Outcome::Done
            }
            Delivery::Refused(why) => self.give_up(mail, &why),
            Delivery::Failed(why) => self.put_off(mail, &why),
        }
    }

    fn give_up(&self, mail: &TakenMail, why: &str) -> Outcome {
        self.counts.given_up.inc();
        tracing::warn!(mail.id = %mail.id, error = why, "a mail was given up");
        Outcome::Done
    }

    fn put_off(&self, mail: &TakenMail, why: &str) -> Outcome {
        self.counts.failed.inc();
        let pause = pause_after(mail.attempts);
        tracing::warn!(mail.id = %mail.id, error = why, retry_s = pause.whole_seconds(), "a mail could not be sent");
        Outcome::PutOff(pause)
    }

    /// In one transaction: the sender never takes more than one connection from requests.
    async fn note(&self, outcomes: &[(Uuid, Outcome)]) -> sqlx::Result<()> {
        if outcomes.is_empty() {
            return Ok(());
        }
        let now = clock::now();
        let mut transaction = store::begin_as_sender(&self.pool).await?;
        for (id, outcome) in outcomes {
            match outcome {
                Outcome::Done => store::finish_mail(&mut transaction, *id, now).await?,
                Outcome::PutOff(pause) => store::put_off_mail(&mut transaction, *id, now + *pause).await?,
            }
        }
        transaction.commit().await
    }
}

/// Twice as long each time.
fn pause_after(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let seconds: Vec<i64> = [1, 2, 3, 8, 9, i32::MAX]
            .map(|attempts| pause_after(attempts).whole_seconds())
            .to_vec();

        assert_eq!(seconds, [2, 4, 8, 256, 300, 300]);
    }
}
