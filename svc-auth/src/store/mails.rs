//! The SQL of the queue of mails: put, counted, taken, done, swept.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Longer than any wait between two attempts: a mail that is due later than this was put off before the clock was set back.
const FURTHEST_ATTEMPT: Duration = Duration::hours(1);
/// A mail counts against its recipient's share for this long.
pub(crate) const MAIL_COUNTS_FOR: Duration = Duration::hours(1);

/// A mail as it is kept.
pub(crate) struct NewMailRow {
    pub id: Uuid,
    pub user_id: Option<Uuid>,
    pub kind: &'static str,
    pub recipient: Vec<u8>,
    pub sealed: Vec<u8>,
    pub is_decoy: bool,
    pub created_at: OffsetDateTime,
    pub ends_at: OffsetDateTime,
}

/// A mail that somebody has taken to send.
pub(crate) struct TakenMail {
    pub id: Uuid,
    pub sealed: Vec<u8>,
    pub is_decoy: bool,
    pub ends_at: OffsetDateTime,
    /// This one included.
    pub attempts: i32,
}

pub(crate) async fn put_mail(connection: &mut PgConnection, mail: &NewMailRow) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO mails (id, user_id, kind, recipient, sealed, is_decoy, created_at, ends_at, next_attempt_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $7)",
        mail.id,
        mail.user_id,
        mail.kind,
        mail.recipient,
        mail.sealed,
        mail.is_decoy,
        mail.created_at,
        mail.ends_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Holds the number until the end of the transaction.
pub(crate) async fn count_mails(
    connection: &mut PgConnection,
    recipient: &[u8],
    kind: &str,
    now: OffsetDateTime,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count_mails($1, $2, $3) AS "count!""#,
        recipient,
        kind,
        now - MAIL_COUNTS_FOR
    )
    .fetch_one(connection)
    .await
}

/// A transaction that sees all mails, and nothing that is anybody's.
pub(crate) async fn begin_as_sender(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut transaction = service::postgres::begin_unowned(pool).await?;
    sqlx::query_scalar!("SELECT set_config('bookmesh.task', 'mails', true)")
        .fetch_one(&mut *transaction)
        .await?;
    Ok(transaction)
}

/// Takes mails that are due until `until`: whoever takes them has to be done by then, or somebody else tries again.
pub(crate) async fn take_mails(
    connection: &mut PgConnection,
    limit: i64,
    until: OffsetDateTime,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<TakenMail>> {
    sqlx::query_as!(
        TakenMail,
        r#"UPDATE mails SET attempts = attempts + 1, next_attempt_at = $2
           WHERE id IN (SELECT id FROM mails
                        WHERE done_at IS NULL AND (next_attempt_at <= $1 OR next_attempt_at > $3)
                        ORDER BY next_attempt_at
                        LIMIT $4
                        FOR UPDATE SKIP LOCKED)
           RETURNING id, sealed AS "sealed!", is_decoy, ends_at, attempts"#,
        now,
        until,
        now + FURTHEST_ATTEMPT,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Sent, or given up: the content is gone.
pub(crate) async fn finish_mail(connection: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE mails SET sealed = NULL, done_at = $2 WHERE id = $1 AND done_at IS NULL",
        id,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn put_off_mail(connection: &mut PgConnection, id: Uuid, until: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE mails SET next_attempt_at = $2 WHERE id = $1 AND done_at IS NULL",
        id,
        until
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How many mails wait, and since when the oldest does.
pub(crate) async fn waiting_mails(connection: &mut PgConnection) -> sqlx::Result<(i64, Option<OffsetDateTime>)> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "count!", min(created_at) AS oldest FROM mails WHERE done_at IS NULL AND NOT is_decoy"#
    )
    .fetch_one(connection)
    .await?;
    Ok((row.count, row.oldest))
}

/// Removes mails that are done and count no more.
pub(crate) async fn sweep_mails(connection: &mut PgConnection, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM mails WHERE done_at IS NOT NULL AND created_at < $1",
        now - MAIL_COUNTS_FOR
    )
    .execute(connection)
    .await?;
    Ok(())
}
