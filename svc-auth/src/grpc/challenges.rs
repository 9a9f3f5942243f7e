//! ChallengeService: the second half of a log-in, and showing again who one is.

use bookmesh_proto::auth::v1::{
    CompleteChallengeRequest, SessionTokens, StepUpSessionRequest, challenge_service_server::ChallengeService,
};
use service::{caller, clock, id, postgres, status::Violation};
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::{
    Auth,
    opening::{self, Recognised},
    proofs::{self, Factor},
    standing, stepping_up,
};
use crate::{
    audit::{Action, Event, Outcome},
    authentication::Authentication,
    challenge::Challenge,
    error::{Error, FactorError},
    origin::Origin,
    store::{self, Shown},
};

#[async_trait]
impl ChallengeService for Auth {
    async fn complete_challenge(
        &self,
        request: Request<CompleteChallengeRequest>,
    ) -> Result<Response<SessionTokens>, Status> {
        let origin = Origin::of(&request);
        let tokens = complete(self, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(tokens))
    }

    async fn step_up_session(&self, request: Request<StepUpSessionRequest>) -> Result<Response<SessionTokens>, Status> {
        let (caller, origin) = (caller::user(&request)?, Origin::of(&request));
        let tokens = stepping_up::step_up(self, &caller, request.into_inner(), &origin, clock::now()).await?;
        Ok(Response::new(tokens))
    }
}

/// What a log-in that has shown one factor gets when the account has a second factor: the refusal, with a challenge. `tried` is what
/// the factor was shown for, `noted` what was used to show it, when that is a line of its own.
pub(super) async fn issue(
    auth: &Auth,
    mut transaction: Transaction<'static, Postgres>,
    user_id: Uuid,
    shown: &Shown,
    noted: Option<Event>,
    tried: Event,
) -> Result<Error, Error> {
    let challenge = Challenge {
        id: id::generate(),
        user_id,
    };

    if !store::insert_challenge(&mut transaction, challenge, shown, tried.at).await? {
        return Ok(Error::InvalidCredentials);
    }
    let factors = store::second_factors(&mut transaction, user_id).await?;
    let event = tried.another(Action::LogInChallenged);
    for event in noted.into_iter().chain([event]) {
        store::append_event(&mut transaction, &auth.audit_key, event).await?;
    }
    transaction.commit().await?;

    tracing::info!(user.id = %user_id, "second factor asked for");
    Ok(Error::Factor(FactorError::MfaRequired {
        challenge: challenge.seal(&auth.master_key),
        factors: factors.names().join(","),
    }))
}

async fn complete(
    auth: &Auth,
    request: CompleteChallengeRequest,
    origin: &Origin,
    now: OffsetDateTime,
) -> Result<SessionTokens, Error> {
    if request.challenge.is_empty() {
        return Err(Violation::new("challenge", "must not be empty").into());
    }
    let factor = Factor::parse(auth, &request.totp_code, &request.recovery_code, request.passkey, now)?;
    let factor = factor.ok_or_else(|| Violation::new("totp_code", "must be given, or another second factor"))?;
    let challenge =
        Challenge::open(&request.challenge, &auth.master_key).ok_or(Error::Factor(FactorError::InvalidChallenge))?;
    let user_id = challenge.user_id;

    let mut transaction = postgres::begin(&auth.pool, user_id).await?;
    let held = standing::hold(&mut transaction, user_id).await?;
    let held = held.ok_or(Error::Factor(FactorError::InvalidChallenge))?;
    let shown = store::lock_challenge(&mut transaction, challenge, now).await?;
    let shown = shown.ok_or(Error::Factor(FactorError::InvalidChallenge))?;
    // The challenge shows who they are; the factor is not looked at where it opens nothing.
    let (transaction, role) = held.admit(auth, transaction, origin, now).await?;
    let tried = Event::new(Some(user_id), Action::LogIn, Outcome::Succeeded, origin, now);
    let mut right = proofs::look_at(auth, transaction, user_id, &factor, tried).await?;
    store::delete_challenge(&mut right.transaction, challenge).await?;
    let so_far = Authentication {
        at: now,
        methods: shown.methods,
    };
    let recognised = Recognised {
        user_id,
        role,
        password_version: shown.password_version,
        authentication: so_far.and(factor.method(), now),
        device: None,
        noted: right.noted,
    };
    let tokens = opening::open(auth, right.transaction, recognised, origin, now).await?;
    Ok(SessionTokens {
        recovery_codes_left: right.recovery_codes_left,
        ..tokens.ok_or(Error::Factor(FactorError::InvalidChallenge))?
    })
}
