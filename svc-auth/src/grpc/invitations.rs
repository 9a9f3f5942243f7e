//! InvitationService: who is asked to make an account, and what an invitation is good for.

use bookmesh_proto::auth::v1::{
    CreateInvitationRequest, DeleteInvitationRequest, Invitation, ListInvitationsRequest, ListInvitationsResponse,
    invitation_service_server::InvitationService,
};
use service::{
    caller::{self, UserCaller},
    clock, id, page, postgres,
    time::to_proto,
};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::{
    Auth,
    audit::note_alone,
    own_sessions::{event_of, require_live},
};
use crate::{
    account_error::AccountError,
    admission::Registering,
    audit::Action,
    error::Error,
    mail_token::{MailToken, NewMailToken},
    mails::{Addressee, Mail, MailKind},
    origin::Origin,
    registration::Email,
    store::{self, NewInvitation, OpenInvitation},
};

/// Whoever is invited may not read mail every day.
const LIFE: Duration = Duration::days(7);
const PAGE_SIZE: i64 = 50;
const PAGE_SIZE_MAX: i64 = 200;

#[async_trait]
impl InvitationService for Auth {
    async fn create_invitation(
        &self,
        request: Request<CreateInvitationRequest>,
    ) -> Result<Response<Invitation>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        let invitation = create(self, &caller, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(invitation))
    }

    async fn list_invitations(
        &self,
        request: Request<ListInvitationsRequest>,
    ) -> Result<Response<ListInvitationsResponse>, Status> {
        let caller = caller::user(&request)?;
        let answer = list(self, &caller, &request.into_inner(), clock::now()).await?;
        Ok(Response::new(answer))
    }

    async fn delete_invitation(&self, request: Request<DeleteInvitationRequest>) -> Result<Response<()>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        withdraw(self, &caller, &request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(()))
    }
}

async fn create(
    auth: &Auth,
    caller: &UserCaller,
    request: CreateInvitationRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<Invitation, Error> {
    let email = Email::parse(request.email)?;
    let token = NewMailToken::generate();
    let invitation = NewInvitation {
        id: id::generate(),
        inviter_id: caller.user_id,
        token_hash: &token.hash,
        email: &email,
        created_at: now,
        expires_at: now + LIFE,
    };
    let event = event_of(caller, Action::InvitationCreated, origin, now);

    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    require_live(&mut transaction, caller, now).await?;
    if !store::may_invite(&mut transaction, caller.user_id).await? {
        transaction.rollback().await?;
        note_alone(auth, event.refused()).await?;
        return Err(Error::Account(AccountError::InvitingNotAllowed));
    }
    let kind = MailKind::Invitation;
    if !auth.mails.has_room(&mut transaction, &email, kind, now).await? {
        return Err(Error::Account(AccountError::TooManyMails));
    }
    store::insert_invitation(&mut transaction, &invitation).await?;
    put_mail(auth, &mut transaction, &invitation, &token).await?;
    store::append_event(&mut transaction, &auth.audit_key, event.done_to(invitation.id)).await?;
    transaction.commit().await?;
    auth.mails.wake();

    tracing::info!(user.id = %caller.user_id, invitation.id = %invitation.id, "invitation made");
    Ok(Invitation {
        id: invitation.id.to_string(),
        email: email.as_str().to_owned(),
        create_time: Some(to_proto(now)),
        expire_time: Some(to_proto(now + LIFE)),
    })
}

async fn put_mail(
    auth: &Auth,
    connection: &mut PgConnection,
    invitation: &NewInvitation<'_>,
    token: &NewMailToken,
) -> Result<(), Error> {
    let mail = Mail {
        to: Addressee {
            user_id: Some(invitation.inviter_id),
            email: invitation.email,
        },
        kind: MailKind::Invitation,
        letter: &auth.mails.letters.invitation(invitation.email.as_str(), token),
        life: LIFE,
    };
    auth.mails.put(connection, mail, invitation.created_at).await
}

async fn list(
    auth: &Auth,
    caller: &UserCaller,
    request: &ListInvitationsRequest,
    now: OffsetDateTime,
) -> Result<ListInvitationsResponse, Error> {
    let size = page::page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)?;
    let query = ["invitations", &caller.user_id.to_string()];
    let before: Option<Uuid> = page::decode(&request.page_token, &query)?;
    auth.hot_sessions
        .require_live(caller.user_id, caller.session_id, now)
        .await?;

    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    let mut invitations = store::list_invitations(&mut transaction, caller.user_id, before, size + 1).await?;
    transaction.commit().await?;

    let whole_page = usize::try_from(size).unwrap_or(usize::MAX);
    let has_more = invitations.len() > whole_page;
    invitations.truncate(whole_page);
    let cursor = invitations.last().filter(|_| has_more).map(|invitation| invitation.id);
    Ok(ListInvitationsResponse {
        invitations: invitations.into_iter().map(Invitation::from).collect(),
        next_page_token: cursor.map(|id| page::encode(&query, &id)).unwrap_or_default(),
    })
}

async fn withdraw(
    auth: &Auth,
    caller: &UserCaller,
    request: &DeleteInvitationRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    // A malformed id names nothing, exactly like an unknown one.
    let invitation_id = id::parse("id", &request.id).map_err(|_| Error::Account(AccountError::InvitationNotFound))?;

    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    require_live(&mut transaction, caller, now).await?;
    if !store::delete_invitation(&mut transaction, caller.user_id, invitation_id).await? {
        return Err(Error::Account(AccountError::InvitationNotFound));
    }
    let event = event_of(caller, Action::InvitationWithdrawn, origin, now).done_to(invitation_id);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;

    tracing::info!(user.id = %caller.user_id, invitation.id = %invitation_id, "invitation withdrawn");
    Ok(())
}

/// What a request to register brings along, as far as this installation lets anybody in.
pub(super) fn admit(registering: Registering, token: &str) -> Result<Option<MailToken>, Error> {
    match registering {
        Registering::Closed => Err(Error::Account(AccountError::RegistrationClosed)),
        Registering::Open if token.is_empty() => Ok(None),
        Registering::Open | Registering::Invite => MailToken::parse(token)
            .map(Some)
            .ok_or(Error::Account(AccountError::InvitationInvalid)),
    }
}

/// Before anything costly is done for an invitation that counts for nothing.
pub(super) async fn require(auth: &Auth, token: &MailToken, email: &Email, now: OffsetDateTime) -> Result<(), Error> {
    let mut transaction = postgres::begin_unowned(&auth.pool).await?;
    let invitation = store::lock_invitation(&mut transaction, token, email, now).await?;
    transaction.rollback().await?;
    invitation
        .map(drop)
        .ok_or(Error::Account(AccountError::InvitationInvalid))
}

/// Uses the invitation up in the transaction that makes the account, and answers its id.
pub(super) async fn accept(
    connection: &mut PgConnection,
    token: &MailToken,
    email: &Email,
    new_user_id: Uuid,
    now: OffsetDateTime,
) -> Result<Uuid, Error> {
    let invitation = store::lock_invitation(connection, token, email, now).await?;
    let invitation_id = invitation.ok_or(Error::Account(AccountError::InvitationInvalid))?;
    store::accept_invitation(connection, invitation_id, new_user_id).await?;
    Ok(invitation_id)
}

impl From<OpenInvitation> for Invitation {
    fn from(invitation: OpenInvitation) -> Invitation {
        Invitation {
            id: invitation.id.to_string(),
            email: invitation.email,
            create_time: Some(to_proto(invitation.created_at)),
            expire_time: Some(to_proto(invitation.expires_at)),
        }
    }
}
