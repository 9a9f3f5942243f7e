//! SecondFactorService: a user's own second factors, enrolled, confirmed and removed.

use bookmesh_proto::auth::v1::{
    self as proto, ConfirmTotpRequest, CreateRecoveryCodesRequest, DeleteTotpRequest, EnrolTotpRequest,
    GetSecondFactorsRequest, RecoveryCodes, TotpEnrolment, second_factor_service_server::SecondFactorService,
};
use service::{
    caller::{self, UserCaller},
    clock, postgres,
    time::to_proto,
};
use sqlx::PgConnection;
use time::OffsetDateTime;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::{
    Auth,
    own_sessions::{event_of, require_live},
    proofs::{is_right_code, refuse, totp_purpose},
    step_up, ways_in,
};
use crate::{
    audit::Action,
    authentication::ONE_TIME_CODE,
    error::{Error, FactorError},
    letters::WayIn,
    origin::Origin,
    recovery_code::{RECOVERY_CODES, RecoveryCode},
    store::{self, Enrolment},
    totp::{TotpCode, TotpSecret, qr_svg},
};

#[async_trait]
impl SecondFactorService for Auth {
    async fn get_second_factors(
        &self,
        request: Request<GetSecondFactorsRequest>,
    ) -> Result<Response<proto::SecondFactors>, Status> {
        let caller = caller::user(&request)?;
        let factors = get(self, &caller, clock::now()).await?;
        Ok(Response::new(factors))
    }

    async fn enrol_totp(&self, request: Request<EnrolTotpRequest>) -> Result<Response<TotpEnrolment>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        let enrolment = enrol(self, &caller, &origin, clock::now()).await?;
        Ok(Response::new(enrolment))
    }

    async fn confirm_totp(&self, request: Request<ConfirmTotpRequest>) -> Result<Response<RecoveryCodes>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        let codes = confirm(self, &caller, &request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(codes))
    }

    async fn delete_totp(&self, request: Request<DeleteTotpRequest>) -> Result<Response<()>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        remove(self, &caller, &origin, clock::now()).await?;
        Ok(Response::new(()))
    }

    async fn create_recovery_codes(
        &self,
        request: Request<CreateRecoveryCodesRequest>,
    ) -> Result<Response<RecoveryCodes>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        let codes = create_recovery_codes(self, &caller, &origin, clock::now()).await?;
        Ok(Response::new(codes))
    }
}

async fn get(auth: &Auth, caller: &UserCaller, now: OffsetDateTime) -> Result<proto::SecondFactors, Error> {
    let mut transaction = postgres::begin(&auth.pool, caller.user_id).await?;
    require_live(&mut transaction, caller, now).await?;
    let factors = store::second_factors(&mut transaction, caller.user_id).await?;
    transaction.commit().await?;

    Ok(proto::SecondFactors {
        totp_confirm_time: factors.totp_confirmed_at.map(to_proto),
        recovery_codes_left: i32::try_from(factors.recovery_codes).unwrap_or(i32::MAX),
        passkeys: i32::try_from(factors.passkeys).unwrap_or(i32::MAX),
    })
}

async fn enrol(auth: &Auth, caller: &UserCaller, origin: &Origin, now: OffsetDateTime) -> Result<TotpEnrolment, Error> {
    let user = store::user_by_id(&auth.pool, caller.user_id).await?;
    let user = user.ok_or(Error::UserNotFound)?;
    // Who comes from a provider may have no address, and an app shows a name.
    let account = if user.email.is_empty() {
        user.id.to_string()
    } else {
        user.email
    };
    let secret = TotpSecret::generate();
    let enrolment = Enrolment {
        user_id: caller.user_id,
        session_id: caller.session_id,
        secret_sealed: &auth.master_key.seal(&totp_purpose(caller.user_id), secret.as_bytes()),
    };

    let mut transaction = step_up::begin(auth, caller, Action::TotpEnrolled, origin, now).await?;
    if !store::enrol_totp(&mut transaction, enrolment, now).await? {
        return Err(Error::Factor(FactorError::TotpEnrolled));
    }
    transaction.commit().await?;

    let uri = secret.uri(&account)?;
    Ok(TotpEnrolment {
        secret: secret.to_base32()?,
        qr_svg: qr_svg(&uri)?,
        uri,
    })
}

/// The code counts as shown by this session, but makes nothing newer that was shown before.
async fn confirm(
    auth: &Auth,
    caller: &UserCaller,
    request: &ConfirmTotpRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<RecoveryCodes, Error> {
    let (user_id, session_id) = (caller.user_id, caller.session_id);
    let code = TotpCode::parse("code", &request.code)?;
    let event = event_of(caller, Action::TotpEnrolled, origin, now);

    let mut transaction = step_up::begin_end(auth, caller, Action::TotpEnrolled, origin, now).await?;
    let pending = store::lock_pending_totp(&mut transaction, user_id, session_id, now).await?;
    let pending = pending.ok_or(Error::Factor(FactorError::EnrolmentNotFound))?;
    if !is_right_code(auth, &mut transaction, user_id, &pending, &code, now).await? {
        return Err(refuse(
            auth,
            transaction,
            event,
            Error::Factor(FactorError::WrongCode { field: "code" }),
        )
        .await);
    }
    store::confirm_totp(&mut transaction, user_id, now).await?;
    store::strengthen_session(&mut transaction, user_id, session_id, ONE_TIME_CODE).await?;
    let codes = first_recovery_codes(&mut transaction, user_id).await?;
    ways_in::tell_of_added(auth, &mut transaction, user_id, WayIn::Totp, now).await?;
    store::append_event(&mut transaction, &auth.audit_key, event).await?;
    transaction.commit().await?;
    auth.mails.wake();

    tracing::info!(user.id = %user_id, "totp confirmed");
    Ok(codes)
}

async fn remove(auth: &Auth, caller: &UserCaller, origin: &Origin, now: OffsetDateTime) -> Result<(), Error> {
    let mut transaction = step_up::begin(auth, caller, Action::TotpRemoved, origin, now).await?;
    let counted = store::delete_totp(&mut transaction, caller.user_id).await?;
    store::delete_orphaned_recovery_codes(&mut transaction, caller.user_id).await?;
    if counted == Some(true) {
        let event = event_of(caller, Action::TotpRemoved, origin, now);
        store::append_event(&mut transaction, &auth.audit_key, event).await?;
    }
    transaction.commit().await?;

    if counted == Some(true) {
        tracing::info!(user.id = %caller.user_id, "totp removed");
    }
    Ok(())
}

async fn create_recovery_codes(
    auth: &Auth,
    caller: &UserCaller,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<RecoveryCodes, Error> {
    let action = Action::RecoveryCodesCreated;
    let mut transaction = step_up::begin(auth, caller, action, origin, now).await?;
    if !store::has_second_factor(&mut transaction, caller.user_id).await? {
        return Err(Error::Factor(FactorError::NoSecondFactor));
    }
    let codes = new_recovery_codes(&mut transaction, caller.user_id).await?;
    store::append_event(&mut transaction, &auth.audit_key, event_of(caller, action, origin, now)).await?;
    transaction.commit().await?;

    tracing::info!(user.id = %caller.user_id, "recovery codes made");
    Ok(codes)
}

/// Those that come with the first second factor; none when the account has some.
pub(super) async fn first_recovery_codes(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<RecoveryCodes> {
    if store::second_factors(connection, user_id).await?.recovery_codes > 0 {
        return Ok(RecoveryCodes::default());
    }
    new_recovery_codes(connection, user_id).await
}

async fn new_recovery_codes(connection: &mut PgConnection, user_id: Uuid) -> sqlx::Result<RecoveryCodes> {
    let codes: Vec<RecoveryCode> = (0..RECOVERY_CODES).map(|_| RecoveryCode::generate()).collect();
    let hashes: Vec<_> = codes.iter().map(RecoveryCode::hash).collect();
    store::replace_recovery_codes(connection, user_id, &hashes).await?;
    Ok(RecoveryCodes {
        codes: codes.iter().map(RecoveryCode::reveal).collect(),
    })
}
