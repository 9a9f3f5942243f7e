//! Decides whether a token counts, remembering those it has checked.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use futures::future::BoxFuture;
use moka::sync::Cache;

use super::{
    ApiToken, Caller, Credential, EndedSessions, PublicKey, Refusal, ServiceKeys, ServiceSigner, Verified,
    remote::Remote,
    token::{Kind, Unverified},
};
use crate::{Service, clock};

/// About 16 MiB when full.
const MAX_REMEMBERED: u64 = 50_000;
/// Longer than any of our tokens lives; each entry knows its own end.
const REMEMBERED: Duration = Duration::from_secs(310);

/// Checks tokens; clones share keys and memory.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    own_name: String,
    access_keys: AccessKeys,
    service_keys: ServiceKeys,
    ended: EndedSessions,
    remembered: Cache<[u8; 32], Verified>,
}

/// Finds the public key of access tokens with a key id. It bounds by itself what unknown ids cost.
pub type KeyLookup = Arc<dyn Fn(&str) -> BoxFuture<'static, Option<PublicKey>> + Send + Sync>;

enum AccessKeys {
    Local(KeyLookup),
    Remote(Arc<Remote>),
}

impl Verifier {
    /// For every process but svc-auth: keys and ended sessions come from svc-auth at `auth_address`.
    pub fn remote(
        own_name: &str,
        auth_address: &str,
        service_keys: ServiceKeys,
        signer: ServiceSigner,
    ) -> anyhow::Result<Self> {
        let ended = EndedSessions::default();
        let remote = Remote::new(auth_address, signer, ended.clone())?;
        Ok(Self::with(
            own_name,
            AccessKeys::Remote(Arc::new(remote)),
            service_keys,
            ended,
        ))
    }

    /// For svc-auth, which has the keys, and says itself which sessions have ended.
    pub fn local(own_name: &str, lookup: KeyLookup, service_keys: ServiceKeys, ended: EndedSessions) -> Self {
        Self::with(own_name, AccessKeys::Local(lookup), service_keys, ended)
    }

    fn with(own_name: &str, access_keys: AccessKeys, service_keys: ServiceKeys, ended: EndedSessions) -> Self {
        let remembered = Cache::builder()
            .max_capacity(MAX_REMEMBERED)
            .time_to_live(REMEMBERED)
            .build();
        Self(Arc::new(Inner {
            own_name: own_name.to_owned(),
            access_keys,
            service_keys,
            ended,
            remembered,
        }))
    }

    /// Keeps keys and ended sessions fresh until the service stops. [`Service::serve`] does this for its verifier.
    pub fn start(&self, service: &Service) {
        if let AccessKeys::Remote(remote) = &self.0.access_keys {
            remote.start(service);
        }
    }

    /// Whether there are keys of access tokens to check with; once there are, there always are.
    pub fn has_keys(&self) -> bool {
        match &self.0.access_keys {
            AccessKeys::Local(_) => true,
            AccessKeys::Remote(remote) => remote.has_keys(),
        }
    }

    /// Who calls, by a token of any kind.
    pub async fn verify(&self, token: &str) -> Result<Verified, Refusal> {
        let verified = if ApiToken::is_meant(token) {
            self.verify_api_token(token).await?
        } else {
            self.verify_signed(token).await?
        };
        let is_api_token = verified.credential == Credential::ApiToken;
        if clock::now().unix_timestamp() >= verified.valid_until {
            return Err(if is_api_token {
                Refusal::ApiTokenEnded
            } else {
                Refusal::Expired
            });
        }
        match verified.caller {
            Caller::User { session_id, .. } if self.0.ended.contains(session_id) => Err(if is_api_token {
                Refusal::ApiTokenEnded
            } else {
                Refusal::SessionEnded
            }),
            Caller::User { .. } | Caller::Service { .. } => Ok(verified),
        }
    }

    /// Who calls what takes no API tokens: nobody looks up what one is worth.
    pub async fn verify_without_api_tokens(&self, token: &str) -> Result<Verified, Refusal> {
        if !ApiToken::is_meant(token) {
            return self.verify(token).await;
        }
        Err(match ApiToken::parse(token) {
            Some(_) => Refusal::ApiTokenNotAllowed,
            None => Refusal::Invalid,
        })
    }

    /// svc-auth itself has nothing that takes API tokens.
    async fn verify_api_token(&self, token: &str) -> Result<Verified, Refusal> {
        ApiToken::parse(token).ok_or(Refusal::Invalid)?;
        match &self.0.access_keys {
            AccessKeys::Local(_) => Err(Refusal::Invalid),
            AccessKeys::Remote(remote) => remote.api_tokens.verify(hash(token), token).await,
        }
    }

    async fn verify_signed(&self, token: &str) -> Result<Verified, Refusal> {
        let hash = hash(token);
        if let Some(verified) = self.0.remembered.get(&hash) {
            return Ok(verified);
        }
        let verified = self.verify_unknown(token).await?;
        self.0.remembered.insert(hash, verified.clone());
        Ok(verified)
    }

    async fn verify_unknown(&self, token: &str) -> Result<Verified, Refusal> {
        let token = Unverified::parse(token)?;
        match token.kind {
            Kind::Access => token.verify_access(&self.access_key(&token.key_id).await?),
            Kind::Service => {
                let key = self.0.service_keys.get(&token.key_id).ok_or(Refusal::Invalid)?;
                token.verify_service(&key, &self.0.own_name)
            }
        }
    }

    async fn access_key(&self, key_id: &str) -> Result<PublicKey, Refusal> {
        match &self.0.access_keys {
            AccessKeys::Local(lookup) => lookup(key_id).await.ok_or(Refusal::Invalid),
            AccessKeys::Remote(remote) => remote.key(key_id).await,
        }
    }
}

/// Tokens are remembered by hash, so that a core dump holds none.
fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}
