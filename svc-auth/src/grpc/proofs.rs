//! Looking at a second factor that somebody shows.

use bookmesh_proto::auth::v1::PasskeyAnswer;
use service::status::Violation;
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Auth,
    passkey_log_in::{Verdict, judge},
};
use crate::{
    audit::{Action, Event},
    authentication::{ONE_TIME_CODE, POSSESSION},
    error::{Error, FactorError},
    passkey::Assertion,
    recovery_code::RecoveryCodeHash,
    store::{self, LockedTotp},
    totp::{TotpCode, TotpSecret, pause_after},
};

/// What is shown as a second factor.
pub(super) enum Factor {
    Totp(TotpCode),
    RecoveryCode(RecoveryCodeHash),
    Passkey(Box<Assertion>),
}

/// A second factor that was right.
pub(super) struct Right {
    /// The transaction in which it was used up: rolled back, it was not.
    pub transaction: Transaction<'static, Postgres>,
    /// After a recovery code: how many are left, and what is to be noted at the end of the transaction.
    pub recovery_codes_left: Option<i32>,
    pub noted: Option<Event>,
}

impl Factor {
    /// At most one may be given.
    pub(super) fn parse(
        auth: &Auth,
        totp_code: &str,
        recovery_code: &str,
        passkey: Option<PasskeyAnswer>,
        now: OffsetDateTime,
    ) -> Result<Option<Factor>, Error> {
        let extra = |field| Violation::new(field, "must not be given with another second factor").into();
        match (totp_code.is_empty(), recovery_code.is_empty(), passkey) {
            (true, true, None) => Ok(None),
            (false, true, None) => Ok(Some(Factor::Totp(TotpCode::parse("totp_code", totp_code)?))),
            (true, false, None) => {
                let code = RecoveryCodeHash::of_typed("recovery_code", recovery_code)?;
                Ok(Some(Factor::RecoveryCode(code)))
            }
            (true, true, Some(answer)) => {
                let party = &auth.relying_party;
                let assertion = party.parse_assertion("passkey", &answer.ceremony, &answer.credential, now)?;
                Ok(Some(Factor::Passkey(Box::new(assertion))))
            }
            (false, _, _) => Err(extra("totp_code")),
            (true, false, Some(_)) => Err(extra("recovery_code")),
        }
    }

    /// As RFC 8176 names it.
    pub(super) fn method(&self) -> &'static str {
        match self {
            Factor::Totp(_) | Factor::RecoveryCode(_) => ONE_TIME_CODE,
            Factor::Passkey(_) => POSSESSION,
        }
    }
}

/// Looks at the factor. `tried` is what it is shown for: a wrong one is noted as a refusal of that, and counted.
pub(super) async fn look_at(
    auth: &Auth,
    mut transaction: Transaction<'static, Postgres>,
    user_id: Uuid,
    factor: &Factor,
    tried: Event,
) -> Result<Right, Error> {
    let wrong_code = |field| Error::Factor(FactorError::WrongCode { field });
    match factor {
        Factor::Totp(code) => {
            let locked = store::lock_totp(&mut transaction, user_id, tried.at).await?;
            let is_right = match locked {
                Some(locked) => is_right_code(auth, &mut transaction, user_id, &locked, code, tried.at).await?,
                None => false,
            };
            if is_right {
                return Ok(Right::new(transaction));
            }
            Err(refuse(auth, transaction, tried, wrong_code("totp_code")).await)
        }
        // Wrong ones are not counted: nobody can guess 120 bits, and whoever blocks the app's codes must not block this too.
        Factor::RecoveryCode(code) => match store::redeem_recovery_code(&mut transaction, user_id, code).await? {
            Some(left) => Ok(Right {
                recovery_codes_left: Some(i32::try_from(left).unwrap_or(i32::MAX)),
                noted: Some(tried.another(Action::RecoveryCodeUsed)),
                ..Right::new(transaction)
            }),
            None => Err(refuse(auth, transaction, tried, wrong_code("recovery_code")).await),
        },
        Factor::Passkey(assertion) => match judge(auth, &mut transaction, user_id, assertion, tried.at).await? {
            Verdict::Right => Ok(Right::new(transaction)),
            Verdict::Wrong => Err(refuse(auth, transaction, tried, Error::Factor(FactorError::WrongPasskey)).await),
            Verdict::Regressed(id) => {
                let regressed = tried.another(Action::PasskeyRegressed).done_to(id);
                Err(refuse(auth, transaction, regressed, Error::Factor(FactorError::WrongPasskey)).await)
            }
        },
    }
}

impl Right {
    fn new(transaction: Transaction<'static, Postgres>) -> Right {
        Right {
            transaction,
            recovery_codes_left: None,
            noted: None,
        }
    }
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
        return Err(Error::Factor(FactorError::TooManyGuesses { wait: until - now }));
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
    error: Error,
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
        Ok(()) => error,
        Err(failure) => failure.into(),
    }
}

pub(super) fn totp_purpose(user_id: Uuid) -> String {
    format!("totp secret of user {user_id}")
}
