//! Ways in to an account: taken away when somebody else may have added them.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Auth;
use crate::{
    audit::{Action, Event, Outcome},
    error::Error,
    origin::Origin,
    store,
};

/// Takes away passkeys, the app that makes codes and linked accounts that were added at a moment or later, and notes each.
pub(super) async fn take_away(
    auth: &Auth,
    connection: &mut PgConnection,
    user_id: Uuid,
    since: OffsetDateTime,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let taken = store::take_ways_in_away(connection, user_id, since).await?;
    let event = |action| Event::new(Some(user_id), action, Outcome::Succeeded, origin, now);
    let passkeys = taken.passkeys.into_iter();
    let identities = taken.identities.into_iter();
    let events = passkeys
        .map(|id| event(Action::PasskeyRemoved).done_to(id))
        .chain(identities.map(|id| event(Action::IdentityUnlinked).done_to(id)))
        .chain(taken.totp.then(|| event(Action::TotpRemoved)));
    for event in events {
        store::append_event(connection, &auth.audit_key, event).await?;
    }
    Ok(())
}
