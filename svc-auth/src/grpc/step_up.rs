//! Step-up: sensitive changes take a session whose user has shown who they are within the last minutes, with a second factor when
//! they have one.

use service::{caller::UserCaller, postgres};
use sqlx::{Postgres, Transaction};
use time::{Duration, OffsetDateTime};

use super::{
    Auth,
    audit::note_alone,
    own_sessions::{event_of, require_live},
};
use crate::{audit::Action, error::Error, origin::Origin, store};

/// How long ago the user may have shown it for a sensitive change.
const STEP_UP_LIFE: Duration = Duration::minutes(5);

/// Opens the caller's transaction for a sensitive change. Somebody who has found an access token would try one first, so a
/// refusal is noted, as a refused `action`.
pub(super) async fn begin(
    auth: &Auth,
    caller: &UserCaller,
    action: Action,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<Transaction<'static, Postgres>, Error> {
    let (user_id, session_id) = (caller.user_id, caller.session_id);
    let mut transaction = postgres::begin(&auth.pool, user_id).await?;
    require_live(&mut transaction, caller, now).await?;
    if store::session_is_stepped_up(&mut transaction, user_id, session_id, now - STEP_UP_LIFE).await? {
        return Ok(transaction);
    }
    // Before the note, which takes a connection of its own.
    transaction.rollback().await?;
    note_alone(auth, event_of(caller, action, origin, now).refused()).await?;
    Err(Error::StepUpRequired)
}
