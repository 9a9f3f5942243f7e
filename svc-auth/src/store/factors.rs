//! The SQL of second factors: the secret of an app, its guesses, and recovery codes.

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::recovery_code::RecoveryCodeHash;

/// Wrong codes of longer ago are forgotten.
const FAILURES_REMEMBERED: Duration = Duration::days(1);
/// How long there is to confirm.
const PENDING_LIFE: Duration = Duration::minutes(15);

/// What a user has of second factors.
pub(crate) struct SecondFactors {
    pub totp_confirmed_at: Option<OffsetDateTime>,
    pub recovery_codes: i64,
    pub passkeys: i64,
}

/// A secret that is to be confirmed.
pub(crate) struct Enrolment<'a> {
    pub user_id: Uuid,
    pub session_id: Uuid,
    pub secret_sealed: &'a [u8],
}

/// A secret whose row is locked.
pub(crate) struct LockedTotp {
    pub secret_sealed: Vec<u8>,
    /// Wrong codes since the last right one.
    pub failures: i32,
    /// No code is looked at before.
    pub blocked_until: Option<OffsetDateTime>,
}

impl SecondFactors {
    /// What a log-in may be completed with.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let totp = self.totp_confirmed_at.map(|_| "totp");
        let recovery_code = (self.recovery_codes > 0).then_some("recovery_code");
        let passkey = (self.passkeys > 0).then_some("passkey");
        [totp, recovery_code, passkey].into_iter().flatten().collect()
    }
}

pub(crate) async fn has_second_factor(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT has_second_factor($1) AS "has!""#, user_id)
        .fetch_one(connection)
        .await
}

pub(crate) async fn second_factors(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<SecondFactors> {
    sqlx::query_as!(
        SecondFactors,
        r#"SELECT (SELECT confirmed_at FROM totp_factors WHERE user_id = $1) AS totp_confirmed_at,
                  (SELECT count(*) FROM recovery_codes WHERE user_id = $1) AS "recovery_codes!",
                  (SELECT count(*) FROM passkeys WHERE user_id = $1) AS "passkeys!""#,
        user_id
    )
    .fetch_one(connection)
    .await
}

/// Takes the place of one that was never confirmed. Answers false when there is a confirmed one.
pub(crate) async fn enrol_totp(
    connection: &mut PgConnection,
    enrolment: Enrolment<'_>,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let enrolled = sqlx::query!(
        "INSERT INTO totp_factors (user_id, enrolled_by, secret_sealed, enrolled_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (user_id) DO UPDATE
         SET enrolled_by = $2, secret_sealed = $3, enrolled_at = $4, failures = 0, failed_at = NULL, blocked_until = NULL
         WHERE totp_factors.confirmed_at IS NULL",
        enrolment.user_id,
        enrolment.session_id,
        enrolment.secret_sealed,
        now
    )
    .execute(connection)
    .await?;
    Ok(enrolled.rows_affected() == 1)
}

/// The secret that this session enrolled and that is still to be confirmed.
pub(crate) async fn lock_pending_totp(
    connection: &mut PgConnection,
    user_id: Uuid,
    session_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<Option<LockedTotp>> {
    sqlx::query_as!(
        LockedTotp,
        "SELECT secret_sealed, failures, blocked_until FROM totp_factors
         WHERE user_id = $1 AND enrolled_by = $2 AND confirmed_at IS NULL AND enrolled_at > $3
         FOR UPDATE",
        user_id,
        session_id,
        now - PENDING_LIFE
    )
    .fetch_optional(connection)
    .await
}

pub(crate) async fn confirm_totp(
    connection: &mut PgConnection,
    user_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE totp_factors SET confirmed_at = $2 WHERE user_id = $1",
        user_id,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Answers whether there was one that counted, or nothing when there was none at all.
pub(crate) async fn delete_totp(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<Option<bool>> {
    sqlx::query_scalar!(
        r#"DELETE FROM totp_factors WHERE user_id = $1 RETURNING confirmed_at IS NOT NULL AS "counted!""#,
        user_id
    )
    .fetch_optional(connection)
    .await
}

/// Locks the app's secret until the end of the transaction: guesses of one account are looked at one by one, so that none is missed.
pub(crate) async fn lock_totp(
    connection: &mut PgConnection,
    user_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<Option<LockedTotp>> {
    sqlx::query_as!(
        LockedTotp,
        r#"SELECT secret_sealed, blocked_until, CASE WHEN failed_at > $2 THEN failures ELSE 0 END AS "failures!"
           FROM totp_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL FOR UPDATE"#,
        user_id,
        now - FAILURES_REMEMBERED
    )
    .fetch_optional(connection)
    .await
}

/// Counts one more wrong code; none is looked at before `blocked_until`.
pub(crate) async fn note_wrong_code(
    connection: &mut PgConnection,
    user_id: Uuid,
    failures: i32,
    blocked_until: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE totp_factors SET failures = $2, blocked_until = $3, failed_at = $4 WHERE user_id = $1",
        user_id,
        failures,
        blocked_until,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Uses up a step and all before it, and forgets the wrong codes. Answers false when it was used: this statement alone decides,
/// whoever else tries.
pub(crate) async fn use_totp_step(connection: &mut PgConnection, user_id: Uuid, step: i64) -> sqlx::Result<bool> {
    let used = sqlx::query!(
        "UPDATE totp_factors SET last_used_step = $2, failures = 0, blocked_until = NULL
         WHERE user_id = $1 AND last_used_step < $2",
        user_id,
        step
    )
    .execute(connection)
    .await?;
    Ok(used.rows_affected() == 1)
}

/// Those before count no more.
pub(crate) async fn replace_recovery_codes(
    connection: &mut PgConnection,
    user_id: Uuid,
    codes: &[RecoveryCodeHash],
) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM recovery_codes WHERE user_id = $1", user_id)
        .execute(&mut *connection)
        .await?;
    let hashes: Vec<Vec<u8>> = codes.iter().map(|code| code.as_bytes().to_vec()).collect();
    sqlx::query!(
        "INSERT INTO recovery_codes (user_id, code_hash) SELECT $1, unnest($2::bytea[])",
        user_id,
        &hashes
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Uses a code up. Answers how many are left, or nothing when it is none.
pub(crate) async fn redeem_recovery_code(
    connection: &mut PgConnection,
    user_id: Uuid,
    code: &RecoveryCodeHash,
) -> sqlx::Result<Option<i64>> {
    let redeemed = sqlx::query!(
        "DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2 RETURNING user_id",
        user_id,
        code.as_bytes()
    )
    .fetch_optional(&mut *connection)
    .await?;
    if redeemed.is_none() {
        return Ok(None);
    }
    let left = sqlx::query_scalar!(
        r#"SELECT count(*) AS "left!" FROM recovery_codes WHERE user_id = $1"#,
        user_id
    );
    Ok(Some(left.fetch_one(connection).await?))
}

/// Without a second factor there is nothing that recovery codes could stand in for.
pub(crate) async fn delete_orphaned_recovery_codes(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM recovery_codes WHERE user_id = $1 AND NOT has_second_factor($1)",
        user_id
    )
    .execute(connection)
    .await?;
    Ok(())
}
