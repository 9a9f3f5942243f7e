//! AdminService: what admins see of accounts, and do to them. Each call is one transaction that ends with its audit event.

mod accounts;
mod export;
mod lists;

use bookmesh_proto::auth::v1::{
    AuditLink, DisableUserRequest, EnableUserRequest, EndUserSessionsRequest, EndUserSessionsResponse,
    ExportAuditEventsRequest, ForcePasswordResetRequest, GetUserRequest, ListDeletionsRequest, ListDeletionsResponse,
    ListUserAuditEventsRequest, ListUserAuditEventsResponse, ListUserSessionsRequest, ListUserSessionsResponse,
    ListUsersRequest, ListUsersResponse, ManagedUser, SetUserRoleRequest, admin_service_server::AdminService,
    managed_user,
};
use service::{
    caller::{self, UserCaller},
    clock, id, postgres,
    time::to_proto,
};
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::{
    Auth,
    audit::note_alone,
    own_sessions::{event_of, require_live},
    step_up,
};
use crate::{audit::Action, error::Error, origin::Origin, role::Role, store};

/// An admin at work: who, from where, when.
struct Admin<'a> {
    auth: &'a Auth,
    caller: UserCaller,
    origin: Origin,
    now: OffsetDateTime,
}

#[async_trait]
impl AdminService for Auth {
    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        let admin = Admin::of(self, &request)?;
        Ok(Response::new(lists::users(&admin, request.into_inner()).await?))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<ManagedUser>, Status> {
        let admin = Admin::of(self, &request)?;
        Ok(Response::new(accounts::get(&admin, &request.into_inner().id).await?))
    }

    async fn disable_user(&self, request: Request<DisableUserRequest>) -> Result<Response<ManagedUser>, Status> {
        let admin = Admin::of(self, &request)?;
        let user = accounts::disable(&admin, &request.into_inner().id).await?;
        Ok(Response::new(user))
    }

    async fn enable_user(&self, request: Request<EnableUserRequest>) -> Result<Response<ManagedUser>, Status> {
        let admin = Admin::of(self, &request)?;
        let user = accounts::enable(&admin, &request.into_inner().id).await?;
        Ok(Response::new(user))
    }

    async fn force_password_reset(
        &self,
        request: Request<ForcePasswordResetRequest>,
    ) -> Result<Response<ManagedUser>, Status> {
        let admin = Admin::of(self, &request)?;
        let user = accounts::force_password_reset(&admin, &request.into_inner().id).await?;
        Ok(Response::new(user))
    }

    async fn set_user_role(&self, request: Request<SetUserRoleRequest>) -> Result<Response<ManagedUser>, Status> {
        let admin = Admin::of(self, &request)?;
        let user = accounts::set_role(&admin, &request.into_inner()).await?;
        Ok(Response::new(user))
    }

    async fn list_user_sessions(
        &self,
        request: Request<ListUserSessionsRequest>,
    ) -> Result<Response<ListUserSessionsResponse>, Status> {
        let admin = Admin::of(self, &request)?;
        let answer = lists::sessions(&admin, &request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn end_user_sessions(
        &self,
        request: Request<EndUserSessionsRequest>,
    ) -> Result<Response<EndUserSessionsResponse>, Status> {
        let admin = Admin::of(self, &request)?;
        let answer = accounts::end_sessions(&admin, &request.into_inner().id).await?;
        Ok(Response::new(answer))
    }

    async fn list_deletions(
        &self,
        request: Request<ListDeletionsRequest>,
    ) -> Result<Response<ListDeletionsResponse>, Status> {
        let admin = Admin::of(self, &request)?;
        let answer = lists::deletions(&admin, &request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    type ExportAuditEventsStream = ReceiverStream<Result<AuditLink, Status>>;

    async fn export_audit_events(
        &self,
        request: Request<ExportAuditEventsRequest>,
    ) -> Result<Response<Self::ExportAuditEventsStream>, Status> {
        let admin = Admin::of(self, &request)?;
        let links = export::begin(&admin, &request.into_inner()).await?;
        Ok(Response::new(links))
    }

    async fn list_user_audit_events(
        &self,
        request: Request<ListUserAuditEventsRequest>,
    ) -> Result<Response<ListUserAuditEventsResponse>, Status> {
        let admin = Admin::of(self, &request)?;
        let answer = lists::audit_events(&admin, &request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}

impl<'a> Admin<'a> {
    fn of<T>(auth: &'a Auth, request: &Request<T>) -> Result<Admin<'a>, Status> {
        Ok(Admin {
            auth,
            caller: caller::user(request)?,
            origin: Origin::of(request),
            now: clock::now(),
        })
    }

    /// Opens the admin's own transaction. What the token says may be five minutes old, so Postgres is asked whether the session
    /// is live and the role still theirs; who has lost it is noted, as a refused `action`.
    async fn begin(&self, action: Action) -> Result<Transaction<'static, Postgres>, Error> {
        let mut transaction = postgres::begin(&self.auth.pool, self.caller.user_id).await?;
        require_live(&mut transaction, &self.caller, self.now).await?;
        self.require_role(transaction, action).await
    }

    /// As [`begin`](Self::begin), with a log-in of the last minutes. The admin's own row is not held: two who do something to each other
    /// would wait for each other.
    async fn begin_stepped_up(&self, action: Action) -> Result<Transaction<'static, Postgres>, Error> {
        let mut transaction = postgres::begin(&self.auth.pool, self.caller.user_id).await?;
        require_live(&mut transaction, &self.caller, self.now).await?;
        let transaction =
            step_up::require_recent(self.auth, transaction, &self.caller, action, &self.origin, self.now).await?;
        self.require_role(transaction, action).await
    }

    async fn require_role(
        &self,
        mut transaction: Transaction<'static, Postgres>,
        action: Action,
    ) -> Result<Transaction<'static, Postgres>, Error> {
        if store::acts_as_admin(&mut transaction).await? {
            return Ok(transaction);
        }
        // Before the note, which takes a connection of its own.
        transaction.rollback().await?;
        let event = event_of(&self.caller, action, &self.origin, self.now).refused();
        note_alone(self.auth, event).await?;
        Err(Error::AdminRequired)
    }

    /// Notes what was done, to whom, as the admin's, and commits.
    async fn commit(
        &self,
        mut transaction: Transaction<'static, Postgres>,
        action: Action,
        about: Option<Uuid>,
    ) -> Result<(), Error> {
        store::act_for(&mut transaction, self.caller.user_id).await?;
        let event = event_of(&self.caller, action, &self.origin, self.now);
        let event = match about {
            Some(user_id) => event.done_to(user_id),
            None => event,
        };
        store::append_event(&mut transaction, &self.auth.audit_key, event).await?;
        transaction.commit().await?;
        tracing::info!(
            user.id = %self.caller.user_id,
            action = action.as_str(),
            object.id = about.map(tracing::field::display),
            "an admin has acted"
        );
        Ok(())
    }
}

/// A malformed id names nothing, exactly like an unknown one.
fn parse_user_id(text: &str) -> Result<Uuid, Error> {
    id::parse("id", text).map_err(|_| Error::UserNotFound)
}

impl From<store::ManagedUser> for ManagedUser {
    fn from(user: store::ManagedUser) -> ManagedUser {
        let role = match user.role {
            Role::User => managed_user::Role::User,
            Role::Admin => managed_user::Role::Admin,
        };
        let state = match user.disabled_at {
            None => managed_user::State::Active,
            Some(_) => managed_user::State::Disabled,
        };
        ManagedUser {
            id: user.id.to_string(),
            email: user.email,
            display_name: user.display_name,
            role: role.into(),
            state: state.into(),
            create_time: Some(to_proto(user.created_at)),
            disable_time: user.disabled_at.map(to_proto),
            password_reset_required: user.password_reset_required,
        }
    }
}
