//! Whether an account may be logged in to: asked first, and told once its user has shown who they are, by whichever way, and never before.

use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Auth, confirmations};
use crate::{
    account_error::AccountError,
    audit::{Action, Event, Outcome},
    error::Error,
    origin::Origin,
    role::Role,
    store::{self, Standing},
};

/// A user whose row is held until the end of the transaction.
pub(super) struct Held {
    user_id: Uuid,
    standing: Standing,
}

/// Every way in begins with this, and locks all else afterwards, as what changes an account does: no two wait for each other.
/// None when there is no such user any more.
pub(super) async fn hold(connection: &mut PgConnection, user_id: Uuid) -> Result<Option<Held>, Error> {
    let standing = store::hold_standing(connection, user_id).await?;
    Ok(standing.map(|standing| Held { user_id, standing }))
}

impl Held {
    /// Answers what the tokens of the session may say. Where no session may be opened, says why, which is noted; the transaction is
    /// committed then, so that what was shown up to here has been used up, and what was not looked at has not.
    pub(super) async fn admit(
        self,
        auth: &Auth,
        mut transaction: Transaction<'static, Postgres>,
        origin: &Origin,
        now: OffsetDateTime,
    ) -> Result<(Transaction<'static, Postgres>, Role), Error> {
        let Some(refusal) = self.refusal(auth) else {
            return Ok((transaction, self.standing.role));
        };
        if matches!(refusal, Error::Account(AccountError::EmailNotConfirmed)) {
            confirmations::put_again(auth, &mut transaction, self.user_id, now).await?;
        }
        let event = Event::new(Some(self.user_id), Action::LogIn, Outcome::Refused, origin, now);
        store::append_event(&mut transaction, &auth.audit_key, event).await?;
        transaction.commit().await?;
        auth.mails.wake();

        tracing::info!(user.id = %self.user_id, error = %refusal, "log-in refused");
        Err(refusal)
    }

    /// A new password comes by mail and so confirms the address too. Whoever comes from a provider that vouches for no address has none
    /// to confirm.
    fn refusal(&self, auth: &Auth) -> Option<Error> {
        let standing = &self.standing;
        if standing.is_disabled {
            return Some(Error::AccountDisabled);
        }
        if standing.password_reset_required {
            return Some(Error::PasswordResetRequired);
        }
        let must_confirm = standing.has_unconfirmed_email && auth.email_confirmation.is_required();
        must_confirm.then_some(Error::Account(AccountError::EmailNotConfirmed))
    }
}
