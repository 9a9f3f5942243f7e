//! SessionService: a user's own log-ins, seen, named and ended.

use bookmesh_proto::auth::v1::{
    self as proto, DeleteSessionRequest, EndOtherSessionsRequest, EndOtherSessionsResponse, ListSessionsRequest,
    ListSessionsResponse, UpdateSessionRequest, session_service_server::SessionService,
};
use service::{
    caller::{self, UserCaller},
    clock, id, page, postgres,
    status::Violation,
};
use time::OffsetDateTime;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::{Auth, sessions::session_message};
use crate::{
    audit::{Action, Event, Outcome},
    error::Error,
    origin::Origin,
    registration::session_name_rule,
    store::{self, EndReason},
};

const PAGE_SIZE: i64 = 50;
const PAGE_SIZE_MAX: i64 = 200;

#[async_trait]
impl SessionService for Auth {
    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let caller = caller::user(&request)?;
        let answer = list(self, &caller, &request.into_inner(), clock::now()).await?;
        Ok(Response::new(answer))
    }

    async fn update_session(&self, request: Request<UpdateSessionRequest>) -> Result<Response<proto::Session>, Status> {
        let caller = caller::user(&request)?;
        let session = rename(self, &caller, request.into_inner(), clock::now()).await?;
        Ok(Response::new(session))
    }

    async fn delete_session(&self, request: Request<DeleteSessionRequest>) -> Result<Response<()>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        end(self, &caller, &request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(()))
    }

    async fn end_other_sessions(
        &self,
        request: Request<EndOtherSessionsRequest>,
    ) -> Result<Response<EndOtherSessionsResponse>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        let answer = end_others(self, &caller, &origin, clock::now()).await?;
        Ok(Response::new(answer))
    }
}

async fn list(
    auth: &Auth,
    caller: &UserCaller,
    request: &ListSessionsRequest,
    now: OffsetDateTime,
) -> Result<ListSessionsResponse, Error> {
    let size = page::page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)?;
    let query = ["sessions", &caller.user_id.to_string()];
    let before: Option<Uuid> = page::decode(&request.page_token, &query)?;
    auth.hot_sessions
        .require_live(caller.user_id, caller.session_id, now)
        .await?;

    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    let mut sessions = store::list_sessions(&mut transaction, caller.user_id, before, size + 1, now).await?;
    transaction.commit().await?;

    let whole_page = usize::try_from(size).unwrap_or(usize::MAX);
    let has_more = sessions.len() > whole_page;
    sessions.truncate(whole_page);
    let cursor = sessions.last().filter(|_| has_more).map(|session| session.id);
    Ok(ListSessionsResponse {
        sessions: sessions
            .iter()
            .map(|session| session_message(session, caller.session_id))
            .collect(),
        next_page_token: cursor.map(|id| page::encode(&query, &id)).unwrap_or_default(),
    })
}

async fn rename(
    auth: &Auth,
    caller: &UserCaller,
    request: UpdateSessionRequest,
    now: OffsetDateTime,
) -> Result<proto::Session, Error> {
    let session = request.session.unwrap_or_default();
    let session_id = parse_session_id(&session.id)?;
    let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
    if let Some(path) = paths.iter().find(|path| !["name", "*"].contains(&path.as_str())) {
        return Err(Violation::new(
            "update_mask",
            format!("must not name `{path}`: only `name` can be changed"),
        )
        .into());
    }
    if let Some(rule) = session_name_rule(&session.name) {
        return Err(Violation::new("session.name", rule).into());
    }

    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    require_live(&mut transaction, caller, now).await?;
    let renamed = store::rename_session(&mut transaction, caller.user_id, session_id, &session.name, now).await?;
    transaction.commit().await?;

    let renamed = renamed.ok_or(Error::SessionNotFound)?;
    Ok(session_message(&renamed, caller.session_id))
}

/// Ends the session once; again changes nothing, so that a caller whose answer was lost can repeat it.
async fn end(
    auth: &Auth,
    caller: &UserCaller,
    request: &DeleteSessionRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let session_id = parse_session_id(&request.id)?;

    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    // Ending its own session twice is no error either; any other takes a session that is still there.
    if session_id != caller.session_id {
        require_live(&mut transaction, caller, now).await?;
    }
    if !store::lock_own_session(&mut transaction, caller.user_id, session_id).await? {
        return Err(Error::SessionNotFound);
    }
    let reason = EndReason::Ended;
    let ended = store::end_session(&mut transaction, caller.user_id, session_id, reason, now).await?;
    if ended {
        let event = event_of(caller, Action::SessionEnded, origin, now).done_to(session_id);
        store::append_event(&mut transaction, &auth.audit_key, event).await?;
    }
    transaction.commit().await?;
    auth.hot_sessions.note_end(session_id).await;

    if ended {
        tracing::info!(user.id = %caller.user_id, session.id = %session_id, "session ended by its user");
    }
    Ok(())
}

async fn end_others(
    auth: &Auth,
    caller: &UserCaller,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<EndOtherSessionsResponse, Error> {
    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    require_live(&mut transaction, caller, now).await?;
    let (user_id, kept) = (caller.user_id, caller.session_id);
    let ended = store::end_other_sessions(&mut transaction, user_id, kept, EndReason::Ended, now).await?;
    if !ended.is_empty() {
        let event = event_of(caller, Action::OtherSessionsEnded, origin, now);
        store::append_event(&mut transaction, &auth.audit_key, event).await?;
    }
    transaction.commit().await?;
    for session_id in &ended {
        auth.hot_sessions.note_end(*session_id).await;
    }

    tracing::info!(user.id = %user_id, sessions = ended.len(), "all other sessions ended by their user");
    Ok(EndOtherSessionsResponse {
        ended_count: i32::try_from(ended.len()).unwrap_or(i32::MAX),
    })
}

/// What the user of a session did.
pub(super) fn event_of(caller: &UserCaller, action: Action, origin: &Origin, now: OffsetDateTime) -> Event {
    Event::new(Some(caller.user_id), action, Outcome::Succeeded, origin, now).by_session(caller.session_id)
}

/// Asks Postgres, not its hot copy: what changes sessions must not be open to one that has just ended.
pub(super) async fn require_live(
    connection: &mut sqlx::PgConnection,
    caller: &UserCaller,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let is_live = store::session_is_live(connection, caller.user_id, caller.session_id, now).await?;
    is_live.then_some(()).ok_or(Error::SessionEnded)
}

/// As [`require_live`], for what adds a way in or takes one away. Holds the user's row first: whoever shuts the account at this moment
/// either waits, and ends what is being added, or is seen here.
pub(super) async fn hold_live(
    connection: &mut sqlx::PgConnection,
    caller: &UserCaller,
    now: OffsetDateTime,
) -> Result<(), Error> {
    store::hold_user(connection, caller.user_id).await?;
    require_live(connection, caller, now).await
}

/// A malformed id names nothing, exactly like an unknown one.
fn parse_session_id(text: &str) -> Result<Uuid, Error> {
    id::parse("id", text).map_err(|_| Error::SessionNotFound)
}
