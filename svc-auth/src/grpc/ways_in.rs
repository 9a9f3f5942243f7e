//! Ways in to an account: told of when they are added, and taken away when somebody else may have added them.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Auth;
use crate::{
    audit::{Action, Event, Outcome},
    error::Error,
    letters::WayIn,
    mails::{Addressee, Mail, MailKind, NOTICE_LIFE},
    origin::Origin,
    store,
};

/// Tells the owner, when the account has an address. Whether it is confirmed makes no difference: whoever reads it may be the one
/// whose address a stranger has made an account with.
pub(super) async fn tell_of_added(
    auth: &Auth,
    connection: &mut PgConnection,
    user_id: Uuid,
    what: WayIn,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let account = store::account_of(connection, user_id).await?;
    let email = account.ok_or(Error::UserNotFound)?.email;
    let letter = auth.mails.letters.way_in_added(email.as_str(), what);
    let to = Addressee {
        user_id: Some(user_id),
        email: &email,
    };
    let mail = Mail {
        to,
        kind: MailKind::Notice,
        letter: &letter,
        life: NOTICE_LIFE,
    };
    auth.mails.put(connection, mail, now).await
}

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
