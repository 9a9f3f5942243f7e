//! OidcService: logging in at other providers, and linking accounts there.

use bookmesh_proto::auth::v1::{
    CompleteOidcLinkRequest, CompleteOidcLogInRequest, DeleteIdentityRequest, Identity, ListIdentitiesRequest,
    ListIdentitiesResponse, ListOidcProvidersRequest, ListOidcProvidersResponse, OidcAttempt, OidcProvider,
    SessionTokens, StartOidcLinkRequest, StartOidcLogInRequest, oidc_service_server::OidcService,
};
use service::{caller, clock};
use tonic::{Request, Response, Status, async_trait};

use super::{Auth, identities, oidc_log_in};
use crate::{
    oidc::{Given, Provider},
    origin::Origin,
};

#[async_trait]
impl OidcService for Auth {
    async fn list_oidc_providers(
        &self,
        _request: Request<ListOidcProvidersRequest>,
    ) -> Result<Response<ListOidcProvidersResponse>, Status> {
        let oidc_providers = self.oidc.all().iter().map(|provider| message(provider)).collect();
        Ok(Response::new(ListOidcProvidersResponse { oidc_providers }))
    }

    async fn start_oidc_log_in(
        &self,
        request: Request<StartOidcLogInRequest>,
    ) -> Result<Response<OidcAttempt>, Status> {
        let request = request.into_inner();
        let attempt = oidc_log_in::start(self, &request.provider_id, request.redirect_uri, clock::now()).await?;
        Ok(Response::new(attempt))
    }

    async fn complete_oidc_log_in(
        &self,
        request: Request<CompleteOidcLogInRequest>,
    ) -> Result<Response<SessionTokens>, Status> {
        let origin = Origin::of(&request);
        let request = request.into_inner();
        let given = Given::parse(&request.state, request.code, &request.binding, request.iss);
        let given = given.map_err(crate::error::Error::from)?;
        let tokens = oidc_log_in::complete(self, &given, &origin, clock::now()).await?;
        Ok(Response::new(tokens))
    }

    async fn start_oidc_link(&self, request: Request<StartOidcLinkRequest>) -> Result<Response<OidcAttempt>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        let request = request.into_inner();
        let (provider_id, redirect_uri) = (&request.provider_id, request.redirect_uri);
        let attempt = identities::start(self, &caller, provider_id, redirect_uri, &origin, clock::now()).await?;
        Ok(Response::new(attempt))
    }

    async fn complete_oidc_link(
        &self,
        request: Request<CompleteOidcLinkRequest>,
    ) -> Result<Response<Identity>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        let request = request.into_inner();
        let given = Given::parse(&request.state, request.code, &request.binding, request.iss);
        let given = given.map_err(crate::error::Error::from)?;
        let identity = identities::complete(self, &caller, &given, &origin, clock::now()).await?;
        Ok(Response::new(identity))
    }

    async fn list_identities(
        &self,
        request: Request<ListIdentitiesRequest>,
    ) -> Result<Response<ListIdentitiesResponse>, Status> {
        let caller = caller::user(&request)?;
        let answer = identities::list(self, &caller, clock::now()).await?;
        Ok(Response::new(answer))
    }

    async fn delete_identity(&self, request: Request<DeleteIdentityRequest>) -> Result<Response<()>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        identities::unlink(self, &caller, &request.into_inner().id, &origin, clock::now()).await?;
        Ok(Response::new(()))
    }
}

fn message(provider: &Provider) -> OidcProvider {
    OidcProvider {
        id: provider.id().to_owned(),
        display_name: provider.display_name().to_owned(),
    }
}
