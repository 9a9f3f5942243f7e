//! AuthInternalService: what other services ask.

use bookmesh_proto::auth::v1::{
    ListEndedSessionsRequest, ListEndedSessionsResponse, auth_internal_service_server::AuthInternalService,
};
use service::{
    clock,
    time::{from_proto, to_proto},
};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use tonic::{Request, Response, Status, async_trait};

use crate::{domain::ACCESS_TOKEN_LIFE, error::Error, store};

/// A session that ended longer ago has no access token left, wherever clocks stand.
const LOOK_BACK: Duration = ACCESS_TOKEN_LIFE.saturating_mul(2);
/// An end is dated before it is committed, and replicas' clocks differ: each answer repeats a little of the last one.
const OVERLAP: Duration = Duration::seconds(10);

pub(crate) struct AuthInternal {
    pub pool: PgPool,
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
