//! Whether an account may be logged in to: asked first, and told once its user has shown who they are, by whichever way, and never before.

use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Auth;
use crate::{
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
        let Some(refusal) = self.refusal() else {
            return Ok((transaction, self.standing.role));
        };
        let event = Event::new(Some(self.user_id), Action::LogIn, Outcome::Refused, origin, now);
        store::append_event(&mut transaction, &auth.audit_key, event).await?;
        transaction.commit().await?;

        tracing::info!(user.id = %self.user_id, error = %refusal, "log-in refused");
        Err(refusal)
    }

    fn refusal(&self) -> Option<Error> {
        if self.standing.is_disabled {
            return Some(Error::AccountDisabled);
        }
        self.standing
            .password_reset_required
            .then_some(Error::PasswordResetRequired)
    }
}
