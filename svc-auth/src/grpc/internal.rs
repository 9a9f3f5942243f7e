//! AuthInternalService: what other services ask.

use bookmesh_proto::auth::v1::{
    ListEndedSessionsRequest, ListEndedSessionsResponse, VerifyApiTokenRequest, VerifyApiTokenResponse,
    auth_internal_service_server::AuthInternalService, verify_api_token_response::State,
};
use service::{
    clock,
    identity::ApiToken,
    time::{from_proto, to_proto},
};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use tonic::{Request, Response, Status, async_trait};

use crate::{api_token::is_secret, domain::ACCESS_TOKEN_LIFE, error::Error, store, token_uses::TokenUses};

/// A session that ended longer ago has no access token left, wherever clocks stand.
const LOOK_BACK: Duration = ACCESS_TOKEN_LIFE.saturating_mul(2);
/// An end is dated before it is committed, and replicas' clocks differ: each answer repeats a little of the last one.
const OVERLAP: Duration = Duration::seconds(10);

pub(crate) struct AuthInternal {
    pub pool: PgPool,
    pub token_uses: TokenUses,
}

#[async_trait]
impl AuthInternalService for AuthInternal {
    async fn list_ended_sessions(
        &self,
        request: Request<ListEndedSessionsRequest>,
    ) -> Result<Response<ListEndedSessionsResponse>, Status> {
        let answer = list_ended(&self.pool, &request.into_inner(), clock::now()).await?;
        Ok(Response::new(answer))
    }

    async fn verify_api_token(
        &self,
        request: Request<VerifyApiTokenRequest>,
    ) -> Result<Response<VerifyApiTokenResponse>, Status> {
        let answer = verify_api_token(self, &request.into_inner().token, clock::now()).await?;
        Ok(Response::new(answer))
    }
}

async fn list_ended(
    pool: &PgPool,
    request: &ListEndedSessionsRequest,
    now: OffsetDateTime,
) -> Result<ListEndedSessionsResponse, Error> {
    let earliest = now - LOOK_BACK;
    let since = match &request.since {
        Some(since) => from_proto("since", since)?.max(earliest),
        None => earliest,
    };

    let ended = store::ended_sessions(pool, since).await?;

    Ok(ListEndedSessionsResponse {
        session_ids: ended.iter().map(ToString::to_string).collect(),
        until: Some(to_proto(now - OVERLAP)),
    })
}

/// Only whoever has the secret learns whether a token has ended.
async fn verify_api_token(
    internal: &AuthInternal,
    text: &str,
    now: OffsetDateTime,
) -> Result<VerifyApiTokenResponse, Error> {
    let Some(token) = ApiToken::parse(text) else {
        return Ok(answer_of(State::Unknown));
    };
    let found = store::look_up_api_token(&internal.pool, token.id).await?;
    let Some(found) = found.filter(|found| is_secret(token.secret, &found.secret_hash)) else {
        return Ok(answer_of(State::Unknown));
    };
    if found.revoked_at.is_some() || found.expires_at <= now {
        return Ok(answer_of(State::Ended));
    }
    internal.token_uses.note(found.user_id, found.id, now);
    Ok(VerifyApiTokenResponse {
        api_token_id: found.id.to_string(),
        user_id: found.user_id.to_string(),
        scopes: found.scopes,
        expire_time: Some(to_proto(found.expires_at)),
        ..answer_of(State::Valid)
    })
}

fn answer_of(state: State) -> VerifyApiTokenResponse {
    VerifyApiTokenResponse {
        state: state.into(),
        ..VerifyApiTokenResponse::default()
    }
}
