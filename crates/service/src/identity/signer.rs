//! Service tokens of the process itself: EdDSA, 60 seconds, for one owner and one callee.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::Context;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use moka::sync::Cache;
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::token::SERVICE_TYPE;

const LIFETIME_SECONDS: i64 = 60;
/// A token is used again while this much of its time is left for the call itself.
const LEFT_SECONDS: i64 = 20;
const MAX_CACHED_TOKENS: u64 = 10_000;

/// Signs with the service's own key.
#[derive(Clone)]
pub struct ServiceSigner(Arc<Inner>);

struct Inner {
    name: String,
    header: Header,
    key: EncodingKey,
    cache: Cache<(Uuid, String), Token>,
}

#[derive(Clone)]
struct Token {
    text: Arc<str>,
    expires: i64,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: Uuid,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

impl ServiceSigner {
    /// A signer for the service `name` from its Ed25519 key, PKCS#8 in PEM.
    pub fn new(name: &str, pkcs8_pem: &str) -> anyhow::Result<Self> {
        let key = EncodingKey::from_ed_pem(pkcs8_pem.as_bytes()).context("reading the service key as PKCS#8 PEM")?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(SERVICE_TYPE.to_owned());
        header.kid = Some(name.to_owned());
        let cache = Cache::builder()
            .max_capacity(MAX_CACHED_TOKENS)
            .time_to_live(Duration::from_secs(LIFETIME_SECONDS.unsigned_abs()))
            .build();
        let signer = Self(Arc::new(Inner {
            name: name.to_owned(),
            header,
            key,
            cache,
        }));
        // A key of another kind is found now rather than at the first call.
        signer
            .sign(Uuid::nil(), name, OffsetDateTime::UNIX_EPOCH)
            .context("signing with the service key")?;
        Ok(signer)
    }

    /// A token that lets `audience` work for `owner`; with the nil id, for nobody in particular.
    pub fn token(&self, owner: Uuid, audience: &str, now: OffsetDateTime) -> Arc<str> {
        let entry = (owner, audience.to_owned());
        if let Some(token) = self.0.cache.get(&entry)
            && token.expires - now.unix_timestamp() >= LEFT_SECONDS
        {
            return token.text;
        }
        let token = self
            .sign(owner, audience, now)
            .expect("the key has signed when the signer was made");
        self.0.cache.insert(entry, token.clone());
        token.text
    }

    fn sign(&self, owner: Uuid, audience: &str, now: OffsetDateTime) -> jsonwebtoken::errors::Result<Token> {
        let issued = now.unix_timestamp();
        let expires = issued + LIFETIME_SECONDS;
        let claims = Claims {
            iss: &self.0.name,
            sub: owner,
            aud: audience,
            iat: issued,
            exp: expires,
        };
        let text = encode(&self.0.header, &claims, &self.0.key)?;
        Ok(Token {
            text: text.into(),
            expires,
        })
    }
}

impl fmt::Debug for ServiceSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ServiceSigner").field(&self.0.name).finish()
    }
}
