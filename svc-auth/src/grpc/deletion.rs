//! DeletionService: how a user leaves, with all data.

use bookmesh_proto::auth::v1::{DeleteCurrentUserRequest, deletion_service_server::DeletionService};
use service::{
    caller::{self, UserCaller},
    clock, id,
};
use time::OffsetDateTime;
use tonic::{Request, Response, Status, async_trait};

use super::{
    Auth,
    current_password::{self, Given},
    own_sessions::event_of,
    step_up,
};
use crate::{
    audit::Action,
    deletions,
    error::Error,
    origin::Origin,
    registration::{Password, named},
    store::{self, Login},
};

/// The field of the password that is to be shown.
const CURRENT: &str = "current_password";

#[async_trait]
impl DeletionService for Auth {
    async fn delete_current_user(&self, request: Request<DeleteCurrentUserRequest>) -> Result<Response<()>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        delete(self, &caller, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(()))
    }
}

async fn delete(
    auth: &Auth,
    caller: &UserCaller,
    request: DeleteCurrentUserRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let login = look_up(auth, caller, origin, now).await?;
    if !login.stored.is_some() && request.current_password.is_empty() {
        // Whoever has logged in at a provider so far has no password to show: the step-up alone has to do.
        return apply(auth, caller, &login, origin, now).await;
    }
    let password = named(CURRENT, Password::parse_given(request.current_password))?;
    let refused = event_of(caller, Action::UserDeleted, origin, now).refused();
    let given = Given {
        password,
        field: CURRENT,
    };
    current_password::require(auth, caller, given, &login, refused, now).await?;
    // Hashing may have waited; the account ends now.
    apply(auth, caller, &login, origin, clock::now()).await
}

async fn look_up(auth: &Auth, caller: &UserCaller, origin: &Origin, now: OffsetDateTime) -> Result<Login, Error> {
    let mut transaction = step_up::begin(auth, caller, Action::UserDeleted, origin, now).await?;
    let login = store::password_of(&mut transaction, caller.user_id).await?;
    transaction.commit().await?;
    login.ok_or(Error::UserNotFound)
}

/// From the commit on there is no such user: access ends as by a log-out, and the services are told.
async fn apply(
    auth: &Auth,
    caller: &UserCaller,
    login: &Login,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let user_id = caller.user_id;

    let mut transaction = step_up::begin(auth, caller, Action::UserDeleted, origin, now).await?;
    let ended = store::delete_user(&mut transaction, login, now).await?;
    let ended = ended.ok_or(Error::WrongPassword { field: CURRENT })?;
    store::insert_deletion(&mut transaction, id::generate(), user_id, now).await?;
    deletions::put_user_deleted(&mut transaction, user_id, 1, now).await?;
    let event = event_of(caller, Action::UserDeleted, origin, now);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;
    auth.waker.wake();
    for session_id in &ended {
        auth.hot_sessions.note_end(*session_id).await;
    }

    tracing::info!(user.id = %user_id, "account deleted by its user");
    Ok(())
}
