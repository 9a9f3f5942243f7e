//! Step-up: sensitive changes take a session whose user has shown who they are within the last minutes, with a second factor when
//! they have one.

use service::{caller::UserCaller, postgres};
use sqlx::{Postgres, Transaction};
use time::{Duration, OffsetDateTime};

use super::{
    Auth,
    audit::note_alone,
    own_sessions::{event_of, hold_live},
};
use crate::{
    audit::{Action, Event},
    error::Error,
    origin::Origin,
    store,
};

/// How long ago the user may have shown it for a sensitive change.
const STEP_UP_LIFE: Duration = Duration::minutes(5);

/// How long what begins with a step-up may take: an app that makes codes has the longest to be confirmed.
const CEREMONY_LIFE: Duration = Duration::minutes(15);

/// Opens the caller's transaction for a sensitive change, with their row held: they go one by one.
pub(super) async fn begin(
    auth: &Auth,
    caller: &UserCaller,
    action: Action,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<Transaction<'static, Postgres>, Error> {
    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    hold_live(&mut transaction, caller, now).await?;
    require_recent(auth, transaction, caller, action, origin, now).await
}

/// As [`begin`], for the end of what has begun with it. It is asked again because the account may have got a second factor meanwhile
/// that this session has not shown; what it adds would count as one.
pub(super) async fn begin_end(
    auth: &Auth,
    caller: &UserCaller,
    action: Action,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<Transaction<'static, Postgres>, Error> {
    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    hold_live(&mut transaction, caller, now).await?;
    let since = now - STEP_UP_LIFE - CEREMONY_LIFE;
    let refused = event_of(caller, action, origin, now).refused();
    require_since(auth, transaction, caller, refused, since).await
}

/// For a transaction that has begun already.
pub(super) async fn require_recent(
    auth: &Auth,
    transaction: Transaction<'static, Postgres>,
    caller: &UserCaller,
    action: Action,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<Transaction<'static, Postgres>, Error> {
    let refused = event_of(caller, action, origin, now).refused();
    require_since(auth, transaction, caller, refused, now - STEP_UP_LIFE).await
}

/// Somebody who has found an access token would try one of these first, so a refusal is noted.
async fn require_since(
    auth: &Auth,
    mut transaction: Transaction<'static, Postgres>,
    caller: &UserCaller,
    refused: Event,
    since: OffsetDateTime,
) -> Result<Transaction<'static, Postgres>, Error> {
    let (user_id, session_id) = (caller.user_id, caller.session_id);
    if store::session_is_stepped_up(&mut transaction, user_id, session_id, since).await? {
        return Ok(transaction);
    }
    // Before the note, which takes a connection of its own.
    transaction.rollback().await?;
    note_alone(auth, refused).await?;
    Err(Error::StepUpRequired)
}
