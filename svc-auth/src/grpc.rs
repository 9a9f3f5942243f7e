//! AuthService: what each RPC takes and answers.

mod accounts;
mod admin;
mod api_tokens;
mod audit;
mod challenges;
mod confirmations;
mod current_password;
mod deletion;
mod email_changes;
mod factors;
mod identities;
mod internal;
mod invitations;
mod oidc;
mod oidc_attempts;
mod oidc_log_in;
mod opening;
mod own_sessions;
mod passkey_log_in;
mod passkeys;
mod passwords;
mod proofs;
mod resets;
mod sessions;
mod standing;
mod step_up;
mod stepping_up;
mod throttle;
mod users;
mod ways_in;

use std::sync::Arc;

use bookmesh_proto::auth::v1::{
    ChangePasswordRequest, CreateSessionRequest, CreateUserRequest, DeleteCurrentSessionRequest, GetCurrentUserRequest,
    GetJwksRequest, Jwks, RefreshSessionRequest, SessionTokens, User, auth_service_server::AuthService,
};
use outbox::Waker;
use service::{caller, clock};
use sqlx::PgPool;
use tonic::{Request, Response, Status, async_trait};

pub(crate) use internal::AuthInternal;

use crate::{
    admission::{EmailConfirmation, Registering},
    api_token::TokenEnvironment,
    attempts::Attempts,
    audit::AuditKey,
    device_token::DeviceKey,
    hot_sessions::HotSessions,
    mails::Mails,
    master_key::MasterKey,
    oidc::Providers,
    origin::Origin,
    passkey::RelyingParty,
    password::Hasher,
    signing::KeyRing,
};

pub(crate) struct Auth {
    pub pool: PgPool,
    pub master_key: Arc<MasterKey>,
    pub keys: Arc<KeyRing>,
    pub hasher: Hasher,
    pub hot_sessions: HotSessions,
    pub token_environment: TokenEnvironment,
    pub audit_key: AuditKey,
    pub attempts: Attempts,
    pub devices: DeviceKey,
    pub relying_party: RelyingParty,
    pub mails: Mails,
    pub registering: Registering,
    pub email_confirmation: EmailConfirmation,
    pub waker: Waker,
    pub oidc: Arc<Providers>,
}

#[async_trait]
impl AuthService for Auth {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<User>, Status> {
        let origin = Origin::of(&request);
        let user = users::create(self, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(user))
    }

    async fn get_current_user(&self, request: Request<GetCurrentUserRequest>) -> Result<Response<User>, Status> {
        let caller = caller::user(&request)?;
        let user = users::get(self, &caller, clock::now()).await?;
        Ok(Response::new(user))
    }

    async fn change_password(&self, request: Request<ChangePasswordRequest>) -> Result<Response<()>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        passwords::change(self, &caller, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(()))
    }

    async fn create_session(&self, request: Request<CreateSessionRequest>) -> Result<Response<SessionTokens>, Status> {
        let origin = Origin::of(&request);
        let tokens = sessions::create(self, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(tokens))
    }

    async fn refresh_session(
        &self,
        request: Request<RefreshSessionRequest>,
    ) -> Result<Response<SessionTokens>, Status> {
        let origin = Origin::of(&request);
        let tokens = sessions::refresh(self, &request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(tokens))
    }

    async fn delete_current_session(
        &self,
        request: Request<DeleteCurrentSessionRequest>,
    ) -> Result<Response<()>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        sessions::delete(self, &caller, &origin, clock::now()).await?;
        Ok(Response::new(()))
    }

    async fn get_jwks(&self, _request: Request<GetJwksRequest>) -> Result<Response<Jwks>, Status> {
        Ok(Response::new(self.keys.jwks()))
    }
}
