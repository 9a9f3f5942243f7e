//! One account: seen, shut, opened, made another role.

use bookmesh_proto::auth::v1::{EndUserSessionsResponse, ManagedUser, SetUserRoleRequest, managed_user};
use service::status::Violation;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::{Admin, event_of, parse_user_id};
use crate::{audit::Action, error::Error, role::Role, store};

pub(super) async fn get(admin: &Admin<'_>, id: &str) -> Result<ManagedUser, Error> {
    let id = parse_user_id(id)?;

    let mut transaction = admin.begin(Action::UserViewed).await?;
    let user = lock(&mut transaction, id).await?;
    admin.commit(transaction, Action::UserViewed, Some(id)).await?;

    Ok(user.into())
}

/// A user who is disabled already stays so since the first time; what has got past that is ended all the same.
pub(super) async fn disable(admin: &Admin<'_>, id: &str) -> Result<ManagedUser, Error> {
    let id = parse_user_id(id)?;

    let mut transaction = admin.begin(Action::UserDisabled).await?;
    let mut user = lock(&mut transaction, id).await?;
    keep_an_admin(&mut transaction, &user).await?;
    let since = user.disabled_at.unwrap_or(admin.now);
    store::set_disabled(&mut transaction, id, Some(since)).await?;
    let ended = store::end_all_sessions(&mut transaction, id, admin.now).await?;
    store::withdraw_mail_tokens(&mut transaction, id).await?;
    revoke_api_tokens(admin, &mut transaction, id).await?;
    admin.commit(transaction, Action::UserDisabled, Some(id)).await?;
    note_ends(admin, &ended).await;

    user.disabled_at = Some(since);
    Ok(user.into())
}

pub(super) async fn enable(admin: &Admin<'_>, id: &str) -> Result<ManagedUser, Error> {
    let id = parse_user_id(id)?;

    let mut transaction = admin.begin(Action::UserEnabled).await?;
    let mut user = lock(&mut transaction, id).await?;
    store::set_disabled(&mut transaction, id, None).await?;
    admin.commit(transaction, Action::UserEnabled, Some(id)).await?;

    user.disabled_at = None;
    Ok(user.into())
}

pub(super) async fn force_password_reset(admin: &Admin<'_>, id: &str) -> Result<ManagedUser, Error> {
    let id = parse_user_id(id)?;

    let mut transaction = admin.begin(Action::PasswordResetForced).await?;
    let mut user = lock(&mut transaction, id).await?;
    if user.email.is_empty() {
        return Err(Error::NoEmailAddress);
    }
    keep_an_admin(&mut transaction, &user).await?;
    store::require_password_reset(&mut transaction, id).await?;
    let ended = store::end_all_sessions(&mut transaction, id, admin.now).await?;
    store::withdraw_mail_tokens(&mut transaction, id).await?;
    revoke_api_tokens(admin, &mut transaction, id).await?;
    admin.commit(transaction, Action::PasswordResetForced, Some(id)).await?;
    note_ends(admin, &ended).await;

    user.password_reset_required = true;
    Ok(user.into())
}

pub(super) async fn set_role(admin: &Admin<'_>, request: &SetUserRoleRequest) -> Result<ManagedUser, Error> {
    let role = match request.role() {
        managed_user::Role::Unspecified => return Err(Violation::new("role", "must be USER or ADMIN").into()),
        managed_user::Role::User => Role::User,
        managed_user::Role::Admin => Role::Admin,
    };
    let id = parse_user_id(&request.id)?;

    let mut transaction = admin.begin_stepped_up(Action::UserRoleChanged).await?;
    let mut user = lock(&mut transaction, id).await?;
    if role == Role::User {
        keep_an_admin(&mut transaction, &user).await?;
    }
    store::set_role(&mut transaction, id, role).await?;
    admin.commit(transaction, Action::UserRoleChanged, Some(id)).await?;

    user.role = role;
    Ok(user.into())
}

pub(super) async fn end_sessions(admin: &Admin<'_>, id: &str) -> Result<EndUserSessionsResponse, Error> {
    let id = parse_user_id(id)?;

    let mut transaction = admin.begin(Action::UserSessionsEnded).await?;
    lock(&mut transaction, id).await?;
    let ended = store::end_all_sessions(&mut transaction, id, admin.now).await?;
    // Whoever had such a session may have begun a change of address.
    store::withdraw_mail_tokens(&mut transaction, id).await?;
    admin.commit(transaction, Action::UserSessionsEnded, Some(id)).await?;
    note_ends(admin, &ended).await;

    Ok(EndUserSessionsResponse {
        ended_count: i32::try_from(ended.len()).unwrap_or(i32::MAX),
    })
}

/// From here on the transaction is the user's.
pub(super) async fn lock(
    transaction: &mut Transaction<'static, Postgres>,
    id: Uuid,
) -> Result<store::ManagedUser, Error> {
    store::act_for(transaction, id).await?;
    store::lock_user(transaction, id).await?.ok_or(Error::UserNotFound)
}

/// Each is noted as the admin's doing, whose the transaction is from then on.
async fn revoke_api_tokens(
    admin: &Admin<'_>,
    transaction: &mut Transaction<'static, Postgres>,
    id: Uuid,
) -> Result<(), Error> {
    let revoked = store::revoke_api_tokens_of(transaction, id, admin.now).await?;
    store::act_for(transaction, admin.caller.user_id).await?;
    for token_id in revoked {
        let event = event_of(&admin.caller, Action::ApiTokenRevoked, &admin.origin, admin.now).done_to(token_id);
        store::append_event(transaction, &admin.auth.audit_key, event).await?;
    }
    Ok(())
}

async fn keep_an_admin(
    transaction: &mut Transaction<'static, Postgres>,
    user: &store::ManagedUser,
) -> Result<(), Error> {
    let counts = user.role == Role::Admin && user.disabled_at.is_none();
    if counts && !store::has_other_admin(transaction, user.id).await? {
        return Err(Error::LastAdmin);
    }
    Ok(())
}

async fn note_ends(admin: &Admin<'_>, ended: &[Uuid]) {
    for session_id in ended {
        admin.auth.hot_sessions.note_end(*session_id).await;
    }
}
