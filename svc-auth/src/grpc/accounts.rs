//! AccountService: what takes a mailbox.

use bookmesh_proto::auth::v1::{
    ChangeEmailRequest, ConfirmEmailRequest, RequestEmailConfirmationRequest, RequestPasswordResetRequest,
    ResetPasswordRequest, UndoEmailChangeRequest, account_service_server::AccountService,
};
use service::{caller, clock};
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::{Auth, confirmations, email_changes, resets};
use crate::{
    account_error::AccountError,
    audit::{Action, Event, Outcome},
    error::Error,
    mail_token::{MailToken, TokenPurpose},
    origin::Origin,
    store::{self, EndReason},
};

#[async_trait]
impl AccountService for Auth {
    async fn request_email_confirmation(
        &self,
        request: Request<RequestEmailConfirmationRequest>,
    ) -> Result<Response<()>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        confirmations::request(self, &caller, &origin, clock::now()).await?;
        Ok(Response::new(()))
    }

    async fn confirm_email(&self, request: Request<ConfirmEmailRequest>) -> Result<Response<()>, Status> {
        let origin = Origin::of(&request);
        confirmations::confirm(self, &request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(()))
    }

    async fn request_password_reset(
        &self,
        request: Request<RequestPasswordResetRequest>,
    ) -> Result<Response<()>, Status> {
        let origin = Origin::of(&request);
        resets::request(self, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(()))
    }

    async fn reset_password(&self, request: Request<ResetPasswordRequest>) -> Result<Response<()>, Status> {
        let origin = Origin::of(&request);
        resets::reset(self, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(()))
    }

    async fn change_email(&self, request: Request<ChangeEmailRequest>) -> Result<Response<()>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        email_changes::begin(self, &caller, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(()))
    }

    async fn undo_email_change(&self, request: Request<UndoEmailChangeRequest>) -> Result<Response<()>, Status> {
        let origin = Origin::of(&request);
        email_changes::undo(self, &request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(()))
    }
}

/// The transaction of the user that a token was mailed to, with the account locked.
pub(super) async fn begin_with_token(
    auth: &Auth,
    purpose: TokenPurpose,
    token: &MailToken,
) -> Result<(Transaction<'static, Postgres>, store::Account), Error> {
    let mut transaction = service::postgres::begin_unowned(&auth.pool).await?;
    let user_id = store::adopt_owner_of_mail_token(&mut transaction, purpose, token).await?;
    let user_id = user_id.ok_or(Error::Account(AccountError::MailTokenInvalid))?;
    let account = store::lock_account(&mut transaction, user_id).await?;
    Ok((
        transaction,
        account.ok_or(Error::Account(AccountError::MailTokenInvalid))?,
    ))
}

/// Before anything costly is done for a token that counts for nothing. It is used up later.
pub(super) async fn require_token(
    auth: &Auth,
    purpose: TokenPurpose,
    token: &MailToken,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let mut transaction = service::postgres::begin_unowned(&auth.pool).await?;
    let user_id = store::adopt_owner_of_mail_token(&mut transaction, purpose, token).await?;
    let user_id = user_id.ok_or(Error::Account(AccountError::MailTokenInvalid))?;
    let counts = store::has_mail_token(&mut transaction, user_id, purpose, now).await?;
    transaction.rollback().await?;
    counts
        .then_some(())
        .ok_or(Error::Account(AccountError::MailTokenInvalid))
}

/// Whoever was let in before is out. Answers the sessions that ended, to be told of after the commit.
pub(super) async fn lock_out(
    auth: &Auth,
    connection: &mut PgConnection,
    user_id: Uuid,
    keep_api_tokens: bool,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<Vec<Uuid>, Error> {
    let none = Uuid::nil();
    let ended = store::end_other_sessions(connection, user_id, none, EndReason::PasswordChanged, now).await?;
    if !keep_api_tokens {
        for token_id in store::revoke_api_tokens_of(connection, user_id, now).await? {
            let event = Event::new(Some(user_id), Action::ApiTokenRevoked, Outcome::Succeeded, origin, now);
            store::append_event(connection, &auth.audit_key, event.done_to(token_id)).await?;
        }
    }
    Ok(ended)
}
