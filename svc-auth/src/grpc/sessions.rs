//! Logging in, staying logged in, logging out.

use bookmesh_proto::auth::v1::{self as proto, CreateSessionRequest, RefreshSessionRequest, SessionTokens};
use service::{caller::UserCaller, postgres, status::Violation, time::to_proto};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Auth, audit::note_alone, challenges, opening, standing, throttle};
use crate::{
    attempts::{Attempt, Kind, Refused},
    audit::{Action, Event, Outcome},
    authentication::Authentication,
    domain::{Session, Verdict},
    error::Error,
    origin::Origin,
    password::{Caller, Comparison, Place, StoredHash},
    refresh_token::{RefreshKey, RefreshToken},
    registration::{Email, Password},
    role::Role,
    store::{self, EndReason, Login, Shown},
};

/// What was typed.
struct Guess {
    email: Option<Email>,
    /// What attempts at this account are counted by.
    account: String,
    password: Password,
}

/// A user who has shown the right password, and what to store in place of a hash that has become weak.
struct Recognised {
    login: Login,
    rehash: Option<StoredHash>,
}

pub(super) async fn create(
    auth: &Auth,
    request: CreateSessionRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<SessionTokens, Error> {
    let (guess, device) = read_guess(auth, request, now).await?;
    let caller = device.map_or(Caller::Stranger, |_| Caller::Known);
    let place = auth.hasher.enter(caller)?;
    let attempt = Attempt {
        kind: Kind::LogIn,
        account: Some(&guess.account),
        device,
        address: origin.address,
    };
    let counted = match auth.attempts.begin(attempt, now).await {
        Ok(counted) => counted,
        Err(refused) => return Err(refuse_unseen(auth, refused, &guess, origin, now).await),
    };
    let opened = open(auth, guess, device, place, origin, now).await;
    throttle::settle(auth, counted, opened, now).await
}

async fn open(
    auth: &Auth,
    guess: Guess,
    device: Option<Uuid>,
    place: Place,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<SessionTokens, Error> {
    let Recognised { login, rehash } = recognise(auth, guess, place, origin, now).await?;
    let user_id = login.user_id;

    let mut transaction = postgres::begin(&auth.pool, user_id).await?;
    let Some(held) = standing::hold(&mut transaction, user_id).await? else {
        transaction.rollback().await?;
        return Err(refuse(auth, Some(user_id), origin, now).await);
    };
    let (mut transaction, role) = held.admit(auth, transaction, origin, now).await?;
    if let Some(stronger) = &rehash {
        store::replace_password_hash(&mut transaction, user_id, &login.stored, stronger).await?;
    }
    let authentication = Authentication::by_password(now);
    if store::has_second_factor(&mut transaction, user_id).await? {
        let shown = Shown {
            password_version: login.password_version,
            methods: authentication.methods,
        };
        let tried = Event::new(Some(user_id), Action::LogIn, Outcome::Succeeded, origin, now);
        return Err(challenges::issue(auth, transaction, user_id, &shown, None, tried).await?);
    }
    let recognised = opening::Recognised {
        user_id,
        role,
        password_version: login.password_version,
        authentication,
        device,
        noted: None,
    };
    match opening::open(auth, transaction, recognised, origin, now).await? {
        Some(tokens) => Ok(tokens),
        None => Err(refuse(auth, Some(user_id), origin, now).await),
    }
}

pub(super) async fn refresh(
    auth: &Auth,
    request: &RefreshSessionRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<SessionTokens, Error> {
    if request.refresh_token.is_empty() {
        return Err(Violation::new("refresh_token", "must not be empty").into());
    }
    let token = RefreshToken::parse(&request.refresh_token).ok_or(Error::InvalidRefreshToken)?;

    let mut transaction = postgres::begin_unowned(&auth.pool).await?;
    let locked = store::lock_session(&mut transaction, token.session_id).await?;
    let locked = locked.ok_or(Error::InvalidRefreshToken)?;
    let (mut session, role) = (locked.session, locked.role);
    let key = RefreshKey::new(&auth.master_key.open(&purpose(session.id), &locked.hmac_key_sealed)?);
    if !key.is_authentic(&token) {
        tracing::warn!(session.id = %session.id, "refresh token was forged");
        return Err(Error::InvalidRefreshToken);
    }
    match session.state.present(token.generation, now) {
        Verdict::Rotate(state) => {
            session.state = state;
            session.address = origin.address_text();
            store::rotate_session(&mut transaction, &session).await?;
            transaction.commit().await?;
        }
        Verdict::Reissue => transaction.rollback().await?,
        Verdict::Reused(_) => {
            store::end_session(&mut transaction, session.user_id, session.id, EndReason::Reuse, now).await?;
            let event = Event::new(
                Some(session.user_id),
                Action::RefreshTokenReused,
                Outcome::Refused,
                origin,
                now,
            );
            store::append_event(&mut transaction, &auth.audit_key, event.by_session(session.id)).await?;
            transaction.commit().await?;
            auth.hot_sessions.note_end(session.id).await;
            tracing::warn!(user.id = %session.user_id, session.id = %session.id, "refresh token reused, session ended");
            return Err(Error::RefreshTokenReused);
        }
        Verdict::Ended => return Err(Error::SessionEnded),
    }

    tokens(auth, &session, role, &key, now).await
}

/// Ends the session once; again changes nothing, so that a caller whose answer was lost can repeat it.
pub(super) async fn delete(
    auth: &Auth,
    caller: &UserCaller,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let (user_id, session_id) = (caller.user_id, caller.session_id);

    let mut transaction = postgres::begin(&auth.pool, user_id).await?;
    let ended = store::end_session(&mut transaction, user_id, session_id, EndReason::Logout, now).await?;
    if ended {
        let event = Event::new(Some(user_id), Action::LogOut, Outcome::Succeeded, origin, now).by_session(session_id);
        store::append_event(&mut transaction, &auth.audit_key, event).await?;
    }
    transaction.commit().await?;
    auth.hot_sessions.note_end(session_id).await;

    if ended {
        tracing::info!(user.id = %user_id, session.id = %session_id, "session ended by its user");
    }
    Ok(())
}

/// Reads what was typed, and which of the account's devices it was typed on. Only an authentic device token costs a query.
async fn read_guess(
    auth: &Auth,
    request: CreateSessionRequest,
    now: OffsetDateTime,
) -> Result<(Guess, Option<Uuid>), Error> {
    if request.email.is_empty() {
        return Err(Violation::new("email", "must not be empty").into());
    }
    let guess = Guess {
        password: Password::parse_given(request.password)?,
        // What is no address may be tried like one, and costs as much.
        account: Email::key_of(&request.email),
        email: Email::parse(request.email).ok(),
    };
    let Some(device) = auth.devices.read(&request.device_token, now) else {
        return Ok((guess, None));
    };
    let login = look_up(auth, &guess).await?;
    // Whoever has taken a device's token is as strange as anybody once the password is another one.
    let is_theirs =
        login.is_some_and(|login| login.user_id == device.user_id && login.password_version == device.password_version);
    Ok((guess, is_theirs.then_some(device.id)))
}

async fn look_up(auth: &Auth, guess: &Guess) -> Result<Option<Login>, Error> {
    Ok(match &guess.email {
        Some(email) => store::user_for_login(&auth.pool, &email.key()).await?,
        None => None,
    })
}

/// An unknown address takes the same work and gets the same answer as a wrong password.
async fn recognise(
    auth: &Auth,
    guess: Guess,
    place: Place,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<Recognised, Error> {
    let account = look_up(auth, &guess).await?;
    let stored = account.as_ref().map(|login| login.stored.clone());
    let rehash = match auth.hasher.compare(guess.password, stored, place).await? {
        Comparison::Wrong => None,
        Comparison::Right => Some(None),
        Comparison::RightButWeak(stronger) => Some(Some(stronger)),
    };
    match (account, rehash) {
        (Some(login), Some(rehash)) => Ok(Recognised { login, rehash }),
        (account, _) => Err(refuse(auth, account.map(|login| login.user_id), origin, now).await),
    }
}

/// Noted for nobody when there is no such account, which takes as long.
async fn refuse(auth: &Auth, user_id: Option<Uuid>, origin: &Origin, now: OffsetDateTime) -> Error {
    tracing::info!(user.id = user_id.map(tracing::field::display), "log-in refused");
    match note_alone(auth, Event::new(user_id, Action::LogIn, Outcome::Refused, origin, now)).await {
        Ok(()) => Error::InvalidCredentials,
        Err(error) => error,
    }
}

/// Looks the account up for the one refusal of many that is noted.
async fn refuse_unseen(auth: &Auth, refused: Refused, guess: &Guess, origin: &Origin, now: OffsetDateTime) -> Error {
    let login = if refused.is_first {
        look_up(auth, guess).await.ok().flatten()
    } else {
        None
    };
    let user_id = login.map(|login| login.user_id);
    throttle::refuse(
        auth,
        refused,
        Event::new(user_id, Action::LogIn, Outcome::Throttled, origin, now),
    )
    .await
}

pub(super) async fn tokens(
    auth: &Auth,
    session: &Session,
    role: Role,
    key: &RefreshKey,
    now: OffsetDateTime,
) -> Result<SessionTokens, Error> {
    let access = auth.keys.sign(session, role, Uuid::new_v4(), now).await?;
    Ok(SessionTokens {
        access_token: access.token,
        refresh_token: key.issue(session.id, session.state.generation),
        expires_in: i32::try_from(access.life.whole_seconds()).unwrap_or(i32::MAX),
        session: Some(session_message(session, session.id)),
        device_token: String::new(),
        recovery_codes_left: None,
    })
}

/// The session as the caller of session `current` sees it.
pub(super) fn session_message(session: &Session, current: Uuid) -> proto::Session {
    proto::Session {
        id: session.id.to_string(),
        user_id: session.user_id.to_string(),
        create_time: Some(to_proto(session.created_at)),
        expire_time: Some(to_proto(session.state.expires_at)),
        user_agent: session.user_agent.clone(),
        name: session.name.clone(),
        address: session.address.clone(),
        last_seen_time: Some(to_proto(session.state.rotated_at)),
        current: session.id == current,
    }
}

pub(super) fn purpose(session_id: Uuid) -> String {
    format!("refresh key of session {session_id}")
}
