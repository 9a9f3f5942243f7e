//! PasskeyService: a user's own passkeys, and logging in with one.

use bookmesh_proto::auth::v1::{
    self as proto, BeginPasskeyAuthenticationRequest, BeginPasskeyRegistrationRequest, CreatePasskeyRequest,
    CreatePasskeyResponse, CreatePasskeySessionRequest, DeletePasskeyRequest, ListPasskeysRequest,
    ListPasskeysResponse, PasskeyCeremony, SessionTokens, UpdatePasskeyRequest, passkey_service_server::PasskeyService,
};
use service::{
    caller::{self, UserCaller},
    clock, id, postgres,
    status::Violation,
    time::to_proto,
};
use time::OffsetDateTime;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::{
    Auth,
    factors::first_recovery_codes,
    own_sessions::{event_of, require_live},
    passkey_log_in, step_up, ways_in,
};
use crate::{
    audit::Action,
    authentication::POSSESSION,
    error::{Error, FactorError, OidcError},
    letters::WayIn,
    origin::Origin,
    passkey::{Begun, PASSKEYS_MAX, Registered, Registrant},
    registration::token_name_rule,
    store::{self, NewPasskey, PasskeyRow},
};

#[async_trait]
impl PasskeyService for Auth {
    async fn begin_passkey_registration(
        &self,
        request: Request<BeginPasskeyRegistrationRequest>,
    ) -> Result<Response<PasskeyCeremony>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        let ceremony = begin(self, &caller, &origin, clock::now()).await?;
        Ok(Response::new(ceremony))
    }

    async fn create_passkey(
        &self,
        request: Request<CreatePasskeyRequest>,
    ) -> Result<Response<CreatePasskeyResponse>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        let answer = create(self, &caller, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(answer))
    }

    async fn list_passkeys(
        &self,
        request: Request<ListPasskeysRequest>,
    ) -> Result<Response<ListPasskeysResponse>, Status> {
        let caller = caller::user(&request)?;
        let passkeys = list(self, &caller, clock::now()).await?;
        Ok(Response::new(ListPasskeysResponse { passkeys }))
    }

    async fn update_passkey(&self, request: Request<UpdatePasskeyRequest>) -> Result<Response<proto::Passkey>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        let passkey = rename(self, &caller, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(passkey))
    }

    async fn delete_passkey(&self, request: Request<DeletePasskeyRequest>) -> Result<Response<()>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        remove(self, &caller, &request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(()))
    }

    async fn begin_passkey_authentication(
        &self,
        _request: Request<BeginPasskeyAuthenticationRequest>,
    ) -> Result<Response<PasskeyCeremony>, Status> {
        let begun = self
            .relying_party
            .begin_authentication(clock::now())
            .map_err(Error::from)?;
        Ok(Response::new(begun.into()))
    }

    async fn create_passkey_session(
        &self,
        request: Request<CreatePasskeySessionRequest>,
    ) -> Result<Response<SessionTokens>, Status> {
        let origin = Origin::of(&request);
        let tokens = passkey_log_in::log_in(self, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(tokens))
    }
}

async fn begin(
    auth: &Auth,
    caller: &UserCaller,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<PasskeyCeremony, Error> {
    let user = store::user_by_id(&auth.pool, caller.user_id)
        .await?
        .ok_or(Error::UserNotFound)?;

    let mut transaction = step_up::begin(auth, caller, Action::PasskeyAdded, origin, now).await?;
    let have = store::credential_ids(&mut transaction, caller.user_id).await?;
    transaction.commit().await?;

    if have.len() >= PASSKEYS_MAX {
        return Err(Error::Factor(FactorError::TooManyPasskeys));
    }
    // Browsers show these; whoever came from a provider may have neither.
    let first_of = |names: [&str; 3]| {
        names
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default()
            .to_owned()
    };
    let id = user.id.to_string();
    let registrant = Registrant {
        user_id: caller.user_id,
        session_id: caller.session_id,
        email: &first_of([&user.email, &user.display_name, &id]),
        display_name: &first_of([&user.display_name, &user.email, &id]),
    };
    Ok(auth.relying_party.begin_registration(&registrant, have, now)?.into())
}

/// The passkey counts as shown by this session, but makes nothing newer that was shown before.
async fn create(
    auth: &Auth,
    caller: &UserCaller,
    request: CreatePasskeyRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<CreatePasskeyResponse, Error> {
    let (user_id, session_id) = (caller.user_id, caller.session_id);
    if let Some(rule) = token_name_rule(&request.name) {
        return Err(Violation::new("name", rule).into());
    }
    let answer = request.answer.unwrap_or_default();
    let of = (user_id, session_id);
    let registered = auth
        .relying_party
        .finish_registration(&answer.ceremony, &answer.credential, of, now)?;
    let passkey = PasskeyRow {
        id: id::generate(),
        name: request.name,
        created_at: now,
        last_used_at: None,
    };

    let mut transaction = step_up::begin_end(auth, caller, Action::PasskeyAdded, origin, now).await?;
    insert(&mut transaction, user_id, &passkey, &registered, now).await?;
    store::strengthen_session(&mut transaction, user_id, session_id, POSSESSION).await?;
    let codes = first_recovery_codes(&mut transaction, user_id).await?;
    ways_in::tell_of_added(auth, &mut transaction, user_id, WayIn::Passkey, now).await?;
    let event = event_of(caller, Action::PasskeyAdded, origin, now).done_to(passkey.id);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;
    auth.mails.wake();

    tracing::info!(user.id = %user_id, passkey.id = %passkey.id, "passkey added");
    Ok(CreatePasskeyResponse {
        passkey: Some(passkey.into()),
        recovery_codes: Some(codes).filter(|codes| !codes.codes.is_empty()),
    })
}

async fn insert(
    connection: &mut sqlx::PgConnection,
    user_id: Uuid,
    passkey: &PasskeyRow,
    registered: &Registered,
    now: OffsetDateTime,
) -> Result<(), Error> {
    if store::credential_ids(connection, user_id).await?.len() >= PASSKEYS_MAX {
        return Err(Error::Factor(FactorError::TooManyPasskeys));
    }
    if !store::use_ceremony(connection, user_id, registered.ceremony, now).await? {
        return Err(Error::Factor(FactorError::WrongPasskey));
    }
    let new = NewPasskey {
        id: passkey.id,
        user_id,
        credential_id: &registered.credential_id,
        credential: &registered.credential,
        name: &passkey.name,
    };
    if !store::insert_passkey(connection, new, now).await? {
        return Err(Error::Factor(FactorError::PasskeyRegistered));
    }
    Ok(())
}

async fn list(auth: &Auth, caller: &UserCaller, now: OffsetDateTime) -> Result<Vec<proto::Passkey>, Error> {
    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    require_live(&mut transaction, caller, now).await?;
    let passkeys = store::list_passkeys(&mut transaction, caller.user_id).await?;
    transaction.commit().await?;
    Ok(passkeys.into_iter().map(proto::Passkey::from).collect())
}

async fn rename(
    auth: &Auth,
    caller: &UserCaller,
    request: UpdatePasskeyRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<proto::Passkey, Error> {
    let passkey = request.passkey.unwrap_or_default();
    let passkey_id = parse_id(&passkey.id)?;
    let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
    if let Some(path) = paths.iter().find(|path| !["name", "*"].contains(&path.as_str())) {
        let rule = format!("must not name `{path}`: only `name` can be changed");
        return Err(Violation::new("update_mask", rule).into());
    }
    if let Some(rule) = token_name_rule(&passkey.name) {
        return Err(Violation::new("passkey.name", rule).into());
    }

    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    require_live(&mut transaction, caller, now).await?;
    let renamed = store::rename_passkey(&mut transaction, caller.user_id, passkey_id, &passkey.name).await?;
    let renamed = renamed.ok_or(Error::Factor(FactorError::PasskeyNotFound))?;
    let event = event_of(caller, Action::PasskeyRenamed, origin, now).done_to(passkey_id);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;
    Ok(renamed.into())
}

/// It may be the last one, because every account has a password, which stays a way in.
async fn remove(
    auth: &Auth,
    caller: &UserCaller,
    request: &DeletePasskeyRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let passkey_id = parse_id(&request.id)?;

    let mut transaction = step_up::begin(auth, caller, Action::PasskeyRemoved, origin, now).await?;
    if !store::delete_passkey(&mut transaction, caller.user_id, passkey_id).await? {
        return Err(Error::Factor(FactorError::PasskeyNotFound));
    }
    if !store::has_way_in(&mut transaction, caller.user_id).await? {
        return Err(OidcError::LastWayIn.into());
    }
    store::delete_orphaned_recovery_codes(&mut transaction, caller.user_id).await?;
    let event = event_of(caller, Action::PasskeyRemoved, origin, now).done_to(passkey_id);
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;

    tracing::info!(user.id = %caller.user_id, passkey.id = %passkey_id, "passkey removed");
    Ok(())
}

/// A malformed id names nothing, exactly like an unknown one.
fn parse_id(text: &str) -> Result<Uuid, Error> {
    id::parse("id", text).map_err(|_| Error::Factor(FactorError::PasskeyNotFound))
}

impl From<Begun> for PasskeyCeremony {
    fn from(begun: Begun) -> PasskeyCeremony {
        PasskeyCeremony {
            ceremony: begun.ceremony,
            options: begun.options,
        }
    }
}

impl From<PasskeyRow> for proto::Passkey {
    fn from(row: PasskeyRow) -> proto::Passkey {
        proto::Passkey {
            id: row.id.to_string(),
            name: row.name,
            create_time: Some(to_proto(row.created_at)),
            last_used_time: row.last_used_at.map(to_proto),
        }
    }
}
