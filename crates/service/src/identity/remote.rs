//! What svc-auth knows, kept at hand: the public keys of access tokens, API tokens, and the sessions that ended lately.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use arc_swap::ArcSwapOption;
use bookmesh_proto::auth::v1::{
    GetJwksRequest, ListEndedSessionsRequest, auth_internal_service_client::AuthInternalServiceClient,
    auth_service_client::AuthServiceClient,
};
use prometheus_client::metrics::counter::Counter;
use prost_types::Timestamp;
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use uuid::Uuid;

use super::{EndedSessions, PublicKey, Refusal, ServiceSigner, api_tokens::ApiTokens, ended, keys};
use crate::{
    Service,
    client::{self, InternalClient},
    clock, time as wire_time,
};

const AUTH_SERVICE: &str = "svc-auth";
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
const KEYS_REFRESHED_EVERY: Duration = Duration::from_secs(5 * 60);
/// An unknown key id asks svc-auth at most this often, however many tokens bring one.
const UNKNOWN_KEY_ASKED_EVERY: Duration = Duration::from_secs(30);
/// While there are no keys at all, nobody can come in, and asking is worth more.
const NO_KEYS_ASKED_EVERY: Duration = Duration::from_millis(250);
/// After a failure, while there are keys: those are used on.
const KEYS_ASKED_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A log-out counts everywhere within 5 seconds: this, the call, and room for one that fails.
const ENDED_ASKED_EVERY: Duration = Duration::from_secs(2);

pub(super) struct Remote {
    channel: Channel,
    internal: InternalClient,
    keys: ArcSwapOption<HashMap<String, PublicKey>>,
    /// When keys were last asked for. Held while asking, so that all who wait share one call.
    asked: Mutex<Option<Instant>>,
    /// One line is logged for each outage.
    keys_failing: AtomicBool,
    ended: EndedSessions,
    pub(super) api_tokens: ApiTokens,
    failures: Counter,
}

impl Remote {
    pub(super) fn new(auth_address: &str, signer: ServiceSigner, ended: EndedSessions) -> anyhow::Result<Self> {
        let channel = client::channel(auth_address)?;
        let internal = InternalClient::new(channel.clone(), signer, AUTH_SERVICE);
        Ok(Self {
            api_tokens: ApiTokens::new(internal.clone()),
            internal,
            channel,
            keys: ArcSwapOption::empty(),
            asked: Mutex::new(None),
            keys_failing: AtomicBool::new(false),
            ended,
            failures: Counter::default(),
        })
    }

    pub(super) fn start(self: &Arc<Self>, service: &Service) {
        service.metrics().register(
            "identity_refresh_failures",
            "Failed attempts to learn keys or ended sessions from svc-auth; what was known is used on",
            self.failures.clone(),
        );
        self.api_tokens.register(service);
        // Before the first keys, good tokens cannot be told from bad ones.
        let remote = Arc::clone(self);
        service.add_readiness("access token keys", move || {
            let has_keys = remote.has_keys();
            Box::pin(async move { has_keys.then_some(()).context("svc-auth has not given any yet") })
        });
        service.spawn("identity keys", Arc::clone(self).refresh_keys(service.shutdown()));
        service.spawn(
            "ended sessions",
            Arc::clone(self).watch_ended_sessions(service.shutdown()),
        );
    }

    /// The key with this id, asking svc-auth when it is new here.
    pub(super) async fn key(&self, key_id: &str) -> Result<PublicKey, Refusal> {
        if let Some(key) = self.known_key(key_id) {
            return Ok(key);
        }
        let mut asked = self.asked.lock().await;
        if let Some(key) = self.known_key(key_id) {
            return Ok(key);
        }
        if self.may_ask(*asked) {
            *asked = Some(Instant::now());
            self.fetch_keys_or_warn().await;
        }
        match self.known_key(key_id) {
            Some(key) => Ok(key),
            None if !self.has_keys() => Err(Refusal::KeysUnavailable),
            None => Err(Refusal::Invalid),
        }
    }

    pub(super) fn has_keys(&self) -> bool {
        self.keys.load().is_some()
    }

    fn known_key(&self, key_id: &str) -> Option<PublicKey> {
        self.keys.load().as_ref()?.get(key_id).cloned()
    }

    fn may_ask(&self, asked: Option<Instant>) -> bool {
        let pause = if self.has_keys() {
            UNKNOWN_KEY_ASKED_EVERY
        } else {
            NO_KEYS_ASKED_EVERY
        };
        asked.is_none_or(|moment| moment.elapsed() >= pause)
    }

    async fn refresh_keys(self: Arc<Self>, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            let fetched = {
                let mut asked = self.asked.lock().await;
                *asked = Some(Instant::now());
                self.fetch_keys_or_warn().await
            };
            let pause = match (fetched, self.has_keys()) {
                (true, _) => KEYS_REFRESHED_EVERY,
                (false, true) => KEYS_ASKED_AGAIN_AFTER,
                (false, false) => NO_KEYS_ASKED_EVERY,
            };
            if pause_or_stop(pause, &shutdown).await {
                return Ok(());
            }
        }
    }

    async fn fetch_keys_or_warn(&self) -> bool {
        let fetched = self.fetch_keys().await;
        let was_failing = self.keys_failing.swap(fetched.is_err(), Ordering::Relaxed);
        if let Err(error) = &fetched {
            self.failures.inc();
            if !was_failing {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "keys of access tokens could not be refreshed, those known are used on"
                );
            }
        }
        fetched.is_ok()
    }

    async fn fetch_keys(&self) -> anyhow::Result<()> {
        let mut request = tonic::Request::new(GetJwksRequest {});
        request.set_timeout(CALL_TIMEOUT);
        let call = AuthServiceClient::new(self.channel.clone()).get_jwks(request).await;
        let set = call.context("asking svc-auth for its keys")?.into_inner();
        let keys = keys::from_proto(&set).context("reading the keys of svc-auth")?;
        self.keys.store(Some(Arc::new(keys)));
        Ok(())
    }

    async fn watch_ended_sessions(self: Arc<Self>, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut since = wire_time::to_proto(clock::now() - ended::KEPT);
        let mut failing = false;
        loop {
            match self.fetch_ended_sessions(&since).await {
                Ok(until) => {
                    since = until.unwrap_or(since);
                    failing = false;
                }
                Err(error) => {
                    self.failures.inc();
                    if !failing {
                        tracing::warn!(error = format!("{error:#}"), "ended sessions could not be refreshed");
                    }
                    failing = true;
                }
            }
            if pause_or_stop(ENDED_ASKED_EVERY, &shutdown).await {
                return Ok(());
            }
        }
    }

    async fn fetch_ended_sessions(&self, since: &Timestamp) -> anyhow::Result<Option<Timestamp>> {
        let message = ListEndedSessionsRequest { since: Some(*since) };
        let request = self.internal.request(Uuid::nil(), message, CALL_TIMEOUT);
        let call = AuthInternalServiceClient::new(self.channel.clone())
            .list_ended_sessions(request)
            .await;
        let answer = call.context("asking svc-auth for ended sessions")?.into_inner();
        let sessions: Result<Vec<Uuid>, _> = answer.session_ids.iter().map(|id| Uuid::try_parse(id)).collect();
        self.ended
            .add(sessions.context("reading the ids of ended sessions")?, clock::now());
        Ok(answer.until)
    }
}

/// Whether the process stops.
async fn pause_or_stop(pause: Duration, shutdown: &CancellationToken) -> bool {
    tokio::select! {
        () = sleep(pause) => false,
        () = shutdown.cancelled() => true,
    }
}
