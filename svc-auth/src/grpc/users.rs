//! Registering, and who am I.

use bookmesh_proto::auth::v1::{CreateUserRequest, User};
use service::{caller::UserCaller, id, postgres, time::to_proto};
use time::OffsetDateTime;

use super::Auth;
use crate::{
    audit::{Action, Event, Outcome},
    error::Error,
    origin::Origin,
    password::Caller,
    registration::Registration,
    store::{self, NewUser},
};

pub(super) async fn create(
    auth: &Auth,
    request: CreateUserRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<User, Error> {
    let registration = Registration::parse(request.email, request.password, request.display_name)?;
    registration.password.refuse_breached("password")?;
    let email_key = registration.email.key();
    // Hashed before anybody looks whether the address is taken: the answer takes as long either way.
    let password_hash = auth.hasher.hash(registration.password, Caller::Stranger).await?;
    let user = NewUser {
        id: id::generate(),
        email: registration.email.as_str(),
        email_key: &email_key,
        display_name: &registration.display_name,
        password_hash: &password_hash,
        now,
    };
    let answer = User {
        id: user.id.to_string(),
        email: user.email.to_owned(),
        display_name: user.display_name.to_owned(),
        create_time: Some(to_proto(now)),
    };

    let event = Event::new(Some(user.id), Action::UserRegistered, Outcome::Succeeded, origin, now);

    let user_id = user.id;

    let mut transaction = postgres::begin(&auth.pool, user_id).await?;
    if !store::insert_user(&mut transaction, user).await? {
        return Err(Error::EmailTaken);
    }
    let is_admin = store::make_first_user_admin(&mut transaction, user_id).await?;
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;

    tracing::info!(user.id = answer.id, is_admin, "user registered");
    Ok(answer)
}

pub(super) async fn get(auth: &Auth, caller: &UserCaller, now: OffsetDateTime) -> Result<User, Error> {
    auth.hot_sessions
        .require_live(caller.user_id, caller.session_id, now)
        .await?;

    let user = store::user_by_id(&auth.pool, caller.user_id).await?;

    user.map(User::from).ok_or(Error::UserNotFound)
}

impl From<store::User> for User {
    fn from(user: store::User) -> User {
        User {
            id: user.id.to_string(),
            email: user.email,
            display_name: user.display_name,
            create_time: Some(to_proto(user.created_at)),
        }
    }
}
