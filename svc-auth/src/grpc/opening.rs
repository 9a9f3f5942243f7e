//! Opening a session for somebody who has shown all that it takes.

use bookmesh_proto::auth::v1::SessionTokens;
use service::id;
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Auth,
    sessions::{purpose, tokens},
};
use crate::{
    audit::{Action, Event, Outcome},
    authentication::Authentication,
    device_token::Device,
    domain::{Session, SessionState},
    error::Error,
    origin::Origin,
    password::random_bytes,
    refresh_token::RefreshKey,
    role::Role,
    store,
};

/// Somebody who has shown all that it takes, and may log in.
pub(super) struct Recognised {
    pub user_id: Uuid,
    /// As `standing` told it in this transaction.
    pub role: Role,
    /// Of the password that counted when they were recognised.
    pub password_version: i64,
    pub authentication: Authentication,
    /// The device, when it has shown to be this account's.
    pub device: Option<Uuid>,
    /// What is noted before the log-in.
    pub noted: Option<Event>,
}

/// Answers nothing, and rolls back, when the password was changed meanwhile: the session would outlive that.
pub(super) async fn open(
    auth: &Auth,
    mut transaction: Transaction<'static, Postgres>,
    recognised: Recognised,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<Option<SessionTokens>, Error> {
    let user_id = recognised.user_id;
    let session = Session {
        id: id::generate(),
        user_id,
        user_agent: origin.user_agent.clone(),
        name: String::new(),
        address: origin.address_text(),
        created_at: now,
        authentication: recognised.authentication,
        state: SessionState::new(now),
    };
    let key_bytes = random_bytes::<32>();
    let key_sealed = auth.master_key.seal(&purpose(session.id), &key_bytes);

    if !store::insert_session(&mut transaction, &session, recognised.password_version, &key_sealed).await? {
        transaction.rollback().await?;
        return Ok(None);
    }
    // At the end, because adding takes a lock that everybody waits for.
    if let Some(event) = recognised.noted {
        store::append_event(&mut transaction, &auth.audit_key, event).await?;
    }
    let event = Event::new(Some(user_id), Action::LogIn, Outcome::Succeeded, origin, now).by_session(session.id);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;

    tracing::info!(user.id = %user_id, session.id = %session.id, "session opened");
    let device = Device {
        user_id,
        id: recognised.device.unwrap_or_else(id::generate),
        password_version: recognised.password_version,
    };
    Ok(Some(SessionTokens {
        device_token: auth.devices.issue(device, now),
        ..tokens(auth, &session, recognised.role, &RefreshKey::new(&key_bytes), now).await?
    }))
}
