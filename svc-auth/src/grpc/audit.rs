//! AuditService: what has happened to the caller's own account.

use bookmesh_proto::auth::v1::{
    AuditEvent, ListAuditEventsRequest, ListAuditEventsResponse, audit_event, audit_service_server::AuditService,
};
use service::{
    caller::{self, UserCaller},
    clock, page, postgres,
    time::to_proto,
};
use time::OffsetDateTime;
use tonic::{Request, Response, Status, async_trait};

use super::Auth;
use crate::{
    audit::{Event, Link},
    error::Error,
    store,
};

const PAGE_SIZE: i64 = 50;
const PAGE_SIZE_MAX: i64 = 200;

#[async_trait]
impl AuditService for Auth {
    async fn list_audit_events(
        &self,
        request: Request<ListAuditEventsRequest>,
    ) -> Result<Response<ListAuditEventsResponse>, Status> {
        let caller = caller::user(&request)?;
        let answer = list(self, &caller, &request.into_inner(), clock::now()).await?;
        Ok(Response::new(answer))
    }
}

async fn list(
    auth: &Auth,
    caller: &UserCaller,
    request: &ListAuditEventsRequest,
    now: OffsetDateTime,
) -> Result<ListAuditEventsResponse, Error> {
    let size = page::page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)?;
    let query = ["audit events", &caller.user_id.to_string()];
    let before: Option<i64> = page::decode(&request.page_token, &query)?;
    auth.hot_sessions
        .require_live(caller.user_id, caller.session_id, now)
        .await?;

    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    let mut links = store::list_events(&mut transaction, caller.user_id, before, size + 1).await?;
    transaction.commit().await?;

    let whole_page = usize::try_from(size).unwrap_or(usize::MAX);
    let has_more = links.len() > whole_page;
    links.truncate(whole_page);
    let cursor = links.last().filter(|_| has_more).map(|link| link.sequence);
    Ok(ListAuditEventsResponse {
        audit_events: links.into_iter().map(AuditEvent::from).collect(),
        next_page_token: cursor
            .map(|sequence| page::encode(&query, &sequence))
            .unwrap_or_default(),
    })
}

/// Notes what is not part of any other change, such as a refusal.
pub(super) async fn note_alone(auth: &Auth, event: Event) -> Result<(), Error> {
    let mut transaction = match event.user_id {
        Some(user_id) => postgres::begin(&auth.pool, user_id).await?,
        None => postgres::begin_unowned(&auth.pool).await?,
    };
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;
    Ok(())
}

impl From<Link> for AuditEvent {
    fn from(link: Link) -> AuditEvent {
        let action = audit_event::Action::from_str_name(&link.action).unwrap_or_default();
        let outcome = audit_event::Outcome::from_str_name(&link.outcome).unwrap_or_default();
        AuditEvent {
            id: link.id.to_string(),
            create_time: Some(to_proto(link.created_at)),
            action: action.into(),
            outcome: outcome.into(),
            session_id: link.session_id.map(|id| id.to_string()).unwrap_or_default(),
            address: link.address,
            user_agent: link.user_agent,
            object_id: link.object_id.map(|id| id.to_string()).unwrap_or_default(),
            user_id: link.user_id.map(|id| id.to_string()).unwrap_or_default(),
        }
    }
}
