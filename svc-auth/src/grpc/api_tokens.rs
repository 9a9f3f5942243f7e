//! ApiTokenService: a user's own API tokens, made, listed and revoked.

use bookmesh_proto::auth::v1::{
    self as proto, CreateApiTokenRequest, DeleteApiTokenRequest, ListApiTokensRequest, ListApiTokensResponse,
    api_token_service_server::ApiTokenService,
};
use service::{
    caller::{self, UserCaller},
    clock, id, page, postgres,
    time::{from_proto, to_proto},
};
use time::OffsetDateTime;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::{
    Auth,
    own_sessions::{event_of, require_live},
    step_up,
};
use crate::{
    api_token::{API_TOKENS_MAX, ApiTokenRow, Grant, NewSecret},
    audit::Action,
    error::Error,
    origin::Origin,
    store,
};

const PAGE_SIZE: i64 = 50;
const PAGE_SIZE_MAX: i64 = 200;

#[async_trait]
impl ApiTokenService for Auth {
    async fn create_api_token(
        &self,
        request: Request<CreateApiTokenRequest>,
    ) -> Result<Response<proto::ApiToken>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        let token = create(self, &caller, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(token))
    }

    async fn list_api_tokens(
        &self,
        request: Request<ListApiTokensRequest>,
    ) -> Result<Response<ListApiTokensResponse>, Status> {
        let caller = caller::user(&request)?;
        let answer = list(self, &caller, &request.into_inner(), clock::now()).await?;
        Ok(Response::new(answer))
    }

    async fn delete_api_token(&self, request: Request<DeleteApiTokenRequest>) -> Result<Response<()>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        revoke(self, &caller, &request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(()))
    }
}

async fn create(
    auth: &Auth,
    caller: &UserCaller,
    request: CreateApiTokenRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<proto::ApiToken, Error> {
    let user_id = caller.user_id;
    let grant = parse(request, now)?;
    let secret = NewSecret::generate();
    let token = ApiTokenRow {
        id: id::generate(),
        user_id,
        lookup_id: secret.lookup_id.clone(),
        environment: auth.token_environment.as_str().to_owned(),
        name: grant.name,
        scopes: grant.scopes,
        created_at: now,
        expires_at: grant.expires_at,
        last_used_at: None,
    };

    let mut transaction = step_up::begin(auth, caller, Action::ApiTokenCreated, origin, now).await?;
    if store::count_api_tokens(&mut transaction, user_id, now).await? >= API_TOKENS_MAX {
        return Err(Error::TooManyApiTokens);
    }
    store::insert_api_token(&mut transaction, &token, &secret.hash()).await?;
    let event = event_of(caller, Action::ApiTokenCreated, origin, now).done_to(token.id);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;

    tracing::info!(user.id = %user_id, api_token.id = %token.id, "api token made");
    Ok(proto::ApiToken {
        token: secret.reveal(&auth.token_environment),
        ..message(token)
    })
}

async fn list(
    auth: &Auth,
    caller: &UserCaller,
    request: &ListApiTokensRequest,
    now: OffsetDateTime,
) -> Result<ListApiTokensResponse, Error> {
    let size = page::page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)?;
    let query = ["api tokens", &caller.user_id.to_string()];
    let before: Option<Uuid> = page::decode(&request.page_token, &query)?;
    auth.hot_sessions
        .require_live(caller.user_id, caller.session_id, now)
        .await?;

    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    let mut tokens = store::list_api_tokens(&mut transaction, caller.user_id, before, size + 1).await?;
    transaction.commit().await?;

    let whole_page = usize::try_from(size).unwrap_or(usize::MAX);
    let has_more = tokens.len() > whole_page;
    tokens.truncate(whole_page);
    let cursor = tokens.last().filter(|_| has_more).map(|token| token.id);
    Ok(ListApiTokensResponse {
        api_tokens: tokens.into_iter().map(message).collect(),
        next_page_token: cursor.map(|id| page::encode(&query, &id)).unwrap_or_default(),
    })
}

/// Revokes the token once; again changes nothing, so that a caller whose answer was lost can repeat it.
async fn revoke(
    auth: &Auth,
    caller: &UserCaller,
    request: &DeleteApiTokenRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    // A malformed id names nothing, exactly like an unknown one.
    let token_id = id::parse("id", &request.id).map_err(|_| Error::ApiTokenNotFound)?;

    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    require_live(&mut transaction, caller, now).await?;
    let revoked = store::revoke_api_token(&mut transaction, caller.user_id, token_id, now).await?;
    let revoked = revoked.ok_or(Error::ApiTokenNotFound)?;
    if revoked {
        let event = event_of(caller, Action::ApiTokenRevoked, origin, now).done_to(token_id);
        store::append_event(&mut transaction, &auth.audit_key, event).await?;
    }
    transaction.commit().await?;

    if revoked {
        tracing::info!(user.id = %caller.user_id, api_token.id = %token_id, "api token revoked");
    }
    Ok(())
}

fn parse(request: CreateApiTokenRequest, now: OffsetDateTime) -> Result<Grant, Error> {
    let expires_at = request
        .expire_time
        .map(|moment| from_proto("expire_time", &moment))
        .transpose()?;
    Ok(Grant::parse(request.name, request.scopes, expires_at, now)?)
}

/// Without the secret, which nobody has any more.
fn message(token: ApiTokenRow) -> proto::ApiToken {
    proto::ApiToken {
        prefix: token.prefix(),
        id: token.id.to_string(),
        name: token.name,
        scopes: token.scopes,
        create_time: Some(to_proto(token.created_at)),
        expire_time: Some(to_proto(token.expires_at)),
        last_used_time: token.last_used_at.map(to_proto),
        token: String::new(),
    }
}
