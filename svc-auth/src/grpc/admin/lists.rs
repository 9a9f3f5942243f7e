//! Accounts, and what belongs to one, a page at a time.

use bookmesh_proto::auth::v1::{
    AuditEvent, Deletion, ListDeletionsRequest, ListDeletionsResponse, ListUserAuditEventsRequest,
    ListUserAuditEventsResponse, ListUserSessionsRequest, ListUserSessionsResponse, ListUsersRequest,
    ListUsersResponse, ManagedUser, deletion::Proof, managed_user,
};
use serde::Serialize;
use service::{check, page, time::to_proto};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Admin, accounts, parse_user_id};
use crate::{audit::Action, error::Error, grpc::sessions::session_message, store};

const PAGE_SIZE: i64 = 50;
const PAGE_SIZE_MAX: i64 = 200;
const EMAIL_PREFIX_MAX_BYTES: usize = 254;

pub(super) async fn users(admin: &Admin<'_>, request: ListUsersRequest) -> Result<ListUsersResponse, Error> {
    let size = page::page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)?;
    if let Some(violation) = check::text("email_prefix", &request.email_prefix, EMAIL_PREFIX_MAX_BYTES) {
        return Err(violation.into());
    }
    let state = request.state();
    let query = ["users", &request.email_prefix, state.as_str_name()];
    let before: Option<Uuid> = page::decode(&request.page_token, &query)?;
    let filter = store::UserFilter {
        email_key_prefix: request.email_prefix.to_lowercase(),
        is_disabled: match state {
            managed_user::State::Unspecified => None,
            managed_user::State::Active => Some(false),
            managed_user::State::Disabled => Some(true),
        },
    };

    let mut transaction = admin.begin(Action::UsersListed).await?;
    let found = store::list_users(&mut transaction, &filter, before, size + 1).await?;
    admin.commit(transaction, Action::UsersListed, None).await?;

    let (users, next_page_token) = cut_page(found, size, &query, |user| user.id);
    Ok(ListUsersResponse {
        users: users.into_iter().map(ManagedUser::from).collect(),
        next_page_token,
    })
}

pub(super) async fn sessions(
    admin: &Admin<'_>,
    request: &ListUserSessionsRequest,
) -> Result<ListUserSessionsResponse, Error> {
    let id = parse_user_id(&request.id)?;
    let size = page::page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)?;
    let query = ["sessions for an admin", &id.to_string()];
    let before: Option<Uuid> = page::decode(&request.page_token, &query)?;

    let mut transaction = admin.begin(Action::UserSessionsListed).await?;
    accounts::lock(&mut transaction, id).await?;
    let found = store::list_sessions(&mut transaction, id, before, size + 1, admin.now).await?;
    admin.commit(transaction, Action::UserSessionsListed, Some(id)).await?;

    let (sessions, next_page_token) = cut_page(found, size, &query, |session| session.id);
    Ok(ListUserSessionsResponse {
        sessions: sessions
            .iter()
            .map(|session| session_message(session, admin.caller.session_id))
            .collect(),
        next_page_token,
    })
}

/// Of an account that was deleted too: its events are what is left of it. So a user who never was has an empty list.
pub(super) async fn audit_events(
    admin: &Admin<'_>,
    request: &ListUserAuditEventsRequest,
) -> Result<ListUserAuditEventsResponse, Error> {
    let id = parse_user_id(&request.id)?;
    let size = page::page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)?;
    let query = ["audit events for an admin", &id.to_string()];
    let before: Option<i64> = page::decode(&request.page_token, &query)?;

    let mut transaction = admin.begin(Action::UserAuditEventsListed).await?;
    let found = store::list_events_about(&mut transaction, id, before, size + 1).await?;
    admin
        .commit(transaction, Action::UserAuditEventsListed, Some(id))
        .await?;

    let (links, next_page_token) = cut_page(found, size, &query, |link| link.sequence);
    Ok(ListUserAuditEventsResponse {
        audit_events: links.into_iter().map(AuditEvent::from).collect(),
        next_page_token,
    })
}

pub(super) async fn deletions(
    admin: &Admin<'_>,
    request: &ListDeletionsRequest,
) -> Result<ListDeletionsResponse, Error> {
    let size = page::page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)?;
    let query = ["deletions"];
    let before: Option<Uuid> = page::decode(&request.page_token, &query)?;

    let mut transaction = admin.begin(Action::DeletionsListed).await?;
    let found = store::list_deletions(&mut transaction, before, size + 1).await?;
    admin.commit(transaction, Action::DeletionsListed, None).await?;

    let (deletions, next_page_token) = cut_page(found, size, &query, |deletion| deletion.id);
    Ok(ListDeletionsResponse {
        deletions: deletions.into_iter().map(Deletion::from).collect(),
        next_page_token,
    })
}

impl From<store::Deletion> for Deletion {
    fn from(deletion: store::Deletion) -> Deletion {
        let moment =
            |microseconds: i64| OffsetDateTime::from_unix_timestamp_nanos(i128::from(microseconds) * 1_000).ok();
        let proofs = deletion.proofs.into_iter().map(|proof| Proof {
            service: proof.service,
            done_time: moment(proof.done_microseconds).map(to_proto),
            counts: proof.counts.into_iter().collect(),
        });
        Deletion {
            user_id: deletion.user_id.to_string(),
            request_time: Some(to_proto(deletion.requested_at)),
            complete_time: deletion.completed_at.map(to_proto),
            proofs: proofs.collect(),
        }
    }
}

/// One more than the page was asked for: what is beyond tells that there is a next page.
fn cut_page<T, C: Serialize>(
    mut found: Vec<T>,
    size: i64,
    query: &[&str],
    cursor: impl Fn(&T) -> C,
) -> (Vec<T>, String) {
    let whole_page = usize::try_from(size).unwrap_or(usize::MAX);
    let has_more = found.len() > whole_page;
    found.truncate(whole_page);
    let last = found.last().filter(|_| has_more);
    let token = last.map(|last| page::encode(query, &cursor(last)));
    (found, token.unwrap_or_default())
}
