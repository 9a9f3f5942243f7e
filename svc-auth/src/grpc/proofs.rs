//! Looking at a second factor that somebody shows.

use service::status::Violation;
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Auth;
use crate::{
    audit::{Action, Event},
    authentication::ONE_TIME_CODE,
    error::Error,
    recovery_code::RecoveryCodeHash,
    store::{self, LockedTotp},
    totp::{TotpCode, TotpSecret, pause_after},
};

/// What is shown as a second factor.
pub(super) enum Factor {
    Totp(TotpCode),
    RecoveryCode(RecoveryCodeHash),
}

/// A second factor that was right.
pub(super) struct Right {
    /// The transaction in which it was used up: rolled back, it was not.
    pub transaction: Transaction<'static, Postgres>,
    pub method: &'static str,
    /// After a recovery code: how many are left, and what is to be noted at the end of the transaction.
    pub recovery_codes_left: Option<i32>,
    pub noted: Option<Event>,
}

impl Factor {
    /// At most one may be given.
    pub(super) fn parse(totp_code: &str, recovery_code: &str) -> Result<Option<Factor>, Violation> {
        match (totp_code.is_empty(), recovery_code.is_empty()) {
            (true, true) => Ok(None),
            (false, true) => Ok(Some(Factor::Totp(TotpCode::parse("totp_code", totp_code)?))),
            (true, false) => {
                let code = RecoveryCodeHash::of_typed("recovery_code", recovery_code)?;
                Ok(Some(Factor::RecoveryCode(code)))
            }
            (false, false) => Err(Violation::new(
                "recovery_code",
                "must not be given with another second factor",
            )),
        }
    }

    fn field(&self) -> &'static str {
        match self {
            Factor::Totp(_) => "totp_code",
            Factor::RecoveryCode(_) => "recovery_code",
        }
    }
}

/// Looks at the factor. `tried` is what it is shown for: a wrong one is noted as a refusal of that, and counted.
pub(super) async fn look_at(
    auth: &Auth,
    mut transaction: Transaction<'static, Postgres>,
    factor: &Factor,
    tried: Event,
) -> Result<Right, Error> {
    let Some(user_id) = tried.user_id else {
        return Err(anyhow::anyhow!("a second factor of nobody").into());
    };
    let mut recovery_codes_left = None;
    let is_right = match factor {
        Factor::Totp(code) => {
            let locked = store::lock_totp(&mut transaction, user_id, tried.at).await?;
            match locked {
                Some(locked) => is_right_code(auth, &mut transaction, user_id, &locked, code, tried.at).await?,
                None => false,
            }
        }
        // Wrong ones are not counted: nobody can guess 120 bits, and whoever blocks the app's codes must not block this too.
        Factor::RecoveryCode(code) => {
            let left = store::redeem_recovery_code(&mut transaction, user_id, code).await?;
            recovery_codes_left = left.map(|left| i32::try_from(left).unwrap_or(i32::MAX));
            left.is_some()
        }
    };
    if !is_right {
        let field = factor.field();
        return Err(refuse(auth, transaction, tried, field).await);
    }
    Ok(Right {
        transaction,
        method: ONE_TIME_CODE,
        recovery_codes_left,
        noted: recovery_codes_left.map(|_| tried.another(Action::RecoveryCodeUsed)),
    })
}

/// Whether the code is right and was not used before. A wrong one is counted, which the transaction must commit.
pub(super) async fn is_right_code(
    auth: &Auth,
    connection: &mut PgConnection,
    user_id: Uuid,
    locked: &LockedTotp,
    code: &TotpCode,
    now: OffsetDateTime,
) -> Result<bool, Error> {
    if let Some(until) = locked.blocked_until.filter(|until| *until > now) {
        return Err(Error::TooManyGuesses { wait: until - now });
    }
    let secret = auth
        .master_key
        .open(&totp_purpose(user_id), &locked.secret_sealed)
        .map(TotpSecret::from_bytes)?;
    if let Some(step) = secret.step_of(code, now)?
        && store::use_totp_step(connection, user_id, step).await?
    {
        return Ok(true);
    }
    let failures = locked.failures.saturating_add(1);
    let blocked_until = pause_after(failures).map(|pause| now + pause);
    store::note_wrong_code(connection, user_id, failures, blocked_until, now).await?;
    Ok(false)
}

/// Commits that a wrong factor was shown.
pub(super) async fn refuse(
    auth: &Auth,
    mut transaction: Transaction<'static, Postgres>,
    tried: Event,
    field: &'static str,
) -> Error {
    tracing::info!(
        user.id = tried.user_id.map(tracing::field::display),
        "second factor refused"
    );
    let noted = async {
        store::append_event(&mut transaction, &auth.audit_key, tried.refused()).await?;
        transaction.commit().await
    };
    match noted.await {
        Ok(()) => Error::WrongCode { field },
        Err(error) => error.into(),
    }
}

pub(super) fn totp_purpose(user_id: Uuid) -> String {
    format!("totp secret of user {user_id}")
}
