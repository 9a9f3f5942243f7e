//! What API tokens are worth: asked of svc-auth once a minute for each that is in use, and remembered in between.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use bookmesh_proto::auth::v1::{
    VerifyApiTokenRequest, VerifyApiTokenResponse, auth_internal_service_client::AuthInternalServiceClient,
    verify_api_token_response::State,
};
use moka::{Expiry, future::Cache};
use prometheus_client::metrics::counter::Counter;
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

use super::{Caller, Credential, Refusal, Verified};
use crate::{Service, client::InternalClient};

/// A revocation needs no shorter time: it is told with the ended sessions.
const KEPT: Duration = Duration::from_secs(60);
/// Of what is no token or no longer one: who sends it again and again costs svc-auth nothing.
const REFUSAL_KEPT: Duration = Duration::from_secs(10);
/// About 4 MiB when full.
const MAX_KEPT: u64 = 10_000;
/// Guesses with a right checksum get no further than this many at a time, and others wait their turn.
const MAX_ASKED_AT_ONCE: usize = 32;
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks svc-auth, with one call for all who bring the same token.
pub(super) struct ApiTokens {
    internal: InternalClient,
    kept: Cache<[u8; 32], Worth>,
    places: Semaphore,
    asked: Counter,
    failures: Counter,
    failing: AtomicBool,
}

/// What svc-auth said of a token.
type Worth = Result<Verified, Refusal>;

impl ApiTokens {
    pub(super) fn new(internal: InternalClient) -> Self {
        let kept = Cache::builder().max_capacity(MAX_KEPT).expire_after(KeptFor).build();
        Self {
            internal,
            kept,
            places: Semaphore::new(MAX_ASKED_AT_ONCE),
            asked: Counter::default(),
            failures: Counter::default(),
            failing: AtomicBool::new(false),
        }
    }

    pub(super) fn register(&self, service: &Service) {
        service.metrics().register(
            "identity_api_token_lookups",
            "Times that svc-auth was asked what an API token is worth",
            self.asked.clone(),
        );
        service.metrics().register(
            "identity_api_token_lookup_failures",
            "Times that svc-auth could not say what an API token is worth",
            self.failures.clone(),
        );
    }

    /// `hash` is the token's.
    pub(super) async fn verify(&self, hash: [u8; 32], token: &str) -> Worth {
        if let Some(worth) = self.kept.get(&hash).await {
            return worth;
        }
        let asked: Result<Worth, Arc<anyhow::Error>> = self.kept.try_get_with(hash, self.ask(token)).await;
        match asked {
            Ok(worth) => worth,
            Err(error) => {
                self.note_failure(&error);
                Err(Refusal::KeysUnavailable)
            }
        }
    }

    /// The first failure of several is told, and all are counted.
    fn note_failure(&self, error: &anyhow::Error) {
        self.failures.inc();
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = format!("{error:#}"),
                "api tokens cannot be looked up, known ones count on"
            );
        }
    }

    async fn ask(&self, token: &str) -> anyhow::Result<Worth> {
        let _place = timeout(CALL_TIMEOUT, self.places.acquire())
            .await
            .context("waiting for others to be looked up")??;
        self.asked.inc();
        let message = VerifyApiTokenRequest {
            token: token.to_owned(),
        };
        let request = self.internal.request(Uuid::nil(), message, CALL_TIMEOUT);
        let answer = AuthInternalServiceClient::new(self.internal.channel())
            .verify_api_token(request)
            .await;
        let answer = answer.context("asking svc-auth for an API token")?.into_inner();
        self.failing.store(false, Ordering::Relaxed);
        read(answer).context("reading what svc-auth says of an API token")
    }
}

fn read(answer: VerifyApiTokenResponse) -> anyhow::Result<Worth> {
    match answer.state() {
        State::Unspecified => anyhow::bail!("no state"),
        State::Unknown => return Ok(Err(Refusal::Invalid)),
        State::Ended => return Ok(Err(Refusal::ApiTokenEnded)),
        State::Valid => {}
    }
    let expire_time = answer.expire_time.context("no expire_time")?;
    let verified = Verified {
        caller: Caller::User {
            user_id: Uuid::try_parse(&answer.user_id)?,
            session_id: Uuid::try_parse(&answer.api_token_id)?,
        },
        credential: Credential::ApiToken,
        scopes: Some(answer.scopes.into()),
        valid_until: expire_time.seconds,
    };
    Ok(Ok(verified))
}

/// How long an answer of svc-auth is taken at its word.
struct KeptFor;

impl Expiry<[u8; 32], Worth> for KeptFor {
    fn expire_after_create(&self, _: &[u8; 32], worth: &Worth, _: Instant) -> Option<Duration> {
        Some(if worth.is_ok() { KEPT } else { REFUSAL_KEPT })
    }
}
