//! The keys that sign access tokens: made once, kept encrypted, published; and the tokens themselves.

use std::collections::HashMap;

use anyhow::Context;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bookmesh_proto::auth::v1::{Jwk, Jwks};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use service::identity::{ACCESS_AUDIENCE, ACCESS_ISSUER, ACCESS_TYPE};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    domain::{ACCESS_TOKEN_LIFE, Session},
    master_key::MasterKey,
    role::Role,
    store::{self, SigningKeyRow},
};

/// A retired key is published until every token that it signed has ended, wherever clocks stand.
const PUBLISHED_AFTER_RETIREMENT: Duration = Duration::minutes(10);

/// The active key and those whose tokens may still be about.
pub(crate) struct KeyRing {
    active_id: String,
    active: EncodingKey,
    public: HashMap<String, [u8; 32]>,
    jwks: Jwks,
}

/// An access token and how long it can be used.
pub(crate) struct AccessToken {
    pub token: String,
    pub life: Duration,
}

/// RFC 9068 claims, and our own `gen`: the generation of the refresh token that came with it.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: Uuid,
    sid: Uuid,
    r#gen: i64,
    scope: &'a str,
    amr: &'a [String],
    auth_time: i64,
    jti: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl KeyRing {
    /// Reads the keys; the first replica of all to start makes one.
    pub(crate) async fn load(pool: &PgPool, master_key: &MasterKey, now: OffsetDateTime) -> anyhow::Result<KeyRing> {
        let recently = now - PUBLISHED_AFTER_RETIREMENT;
        let mut rows = store::signing_keys(pool, recently)
            .await
            .context("reading signing keys")?;
        if !rows.first().is_some_and(SigningKeyRow::is_active) {
            let key = generate(master_key, now)?;
            store::insert_signing_key(pool, &key)
                .await
                .context("storing a signing key")?;
            // Read again: another replica may have been first.
            rows = store::signing_keys(pool, recently)
                .await
                .context("reading signing keys")?;
        }
        KeyRing::new(&rows, master_key)
    }

    pub(crate) fn jwks(&self) -> &Jwks {
        &self.jwks
    }

    /// The public key that a token's header names.
    pub(crate) fn public_key(&self, id: &str) -> Option<[u8; 32]> {
        self.public.get(id).copied()
    }

    /// Ends with the session when that is earlier.
    pub(crate) fn sign(
        &self,
        session: &Session,
        role: Role,
        token_id: Uuid,
        now: OffsetDateTime,
    ) -> anyhow::Result<AccessToken> {
        let life = ACCESS_TOKEN_LIFE.min(session.state.expires_at - now);
        let issued_at = now.unix_timestamp();
        let claims = Claims {
            iss: ACCESS_ISSUER,
            aud: ACCESS_AUDIENCE,
            sub: session.user_id,
            sid: session.id,
            r#gen: session.state.generation,
            scope: role.scopes(),
            amr: &session.authentication.methods,
            auth_time: session.authentication.at.unix_timestamp(),
            jti: token_id,
            iat: issued_at,
            nbf: issued_at,
            exp: issued_at + life.whole_seconds(),
        };
        let header = Header {
            typ: Some(ACCESS_TYPE.to_owned()),
            kid: Some(self.active_id.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        let token = jsonwebtoken::encode(&header, &claims, &self.active).context("signing an access token")?;
        Ok(AccessToken { token, life })
    }

    fn new(rows: &[SigningKeyRow], master_key: &MasterKey) -> anyhow::Result<KeyRing> {
        let active = rows
            .first()
            .filter(|row| row.is_active())
            .context("there is no active signing key")?;
        let pkcs8 = master_key
            .open(&purpose(&active.id), &active.private_key_sealed)
            .context("opening the signing key: is AUTH_MASTER_KEY the one it was sealed with?")?;
        let mut public = HashMap::new();
        for row in rows {
            let bytes: [u8; 32] = row.public_key.as_slice().try_into().context("reading a public key")?;
            public.insert(row.id.clone(), bytes);
        }
        Ok(KeyRing {
            active_id: active.id.clone(),
            active: EncodingKey::from_ed_der(&pkcs8),
            public,
            jwks: Jwks {
                keys: rows.iter().map(jwk).collect(),
            },
        })
    }
}

impl SigningKeyRow {
    fn is_active(&self) -> bool {
        self.retired_at.is_none()
    }
}

fn generate(master_key: &MasterKey, now: OffsetDateTime) -> anyhow::Result<SigningKeyRow> {
    let pair = Ed25519KeyPair::generate().ok().context("generating a signing key")?;
    let pkcs8 = pair.to_pkcs8().ok().context("encoding a signing key")?;
    let id = service::id::generate().to_string();
    Ok(SigningKeyRow {
        public_key: pair.public_key().as_ref().to_vec(),
        private_key_sealed: master_key.seal(&purpose(&id), pkcs8.as_ref()),
        created_at: now,
        retired_at: None,
        id,
    })
}

fn purpose(id: &str) -> String {
    format!("signing key {id}")
}

fn jwk(row: &SigningKeyRow) -> Jwk {
    Jwk {
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        x: BASE64_URL_SAFE_NO_PAD.encode(&row.public_key),
        kid: row.id.clone(),
        alg: "EdDSA".to_owned(),
        r#use: "sig".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::{DescriptorPool, DynamicMessage, Value};

    use super::*;

    fn asked_for(policy: &Value) -> Vec<String> {
        let policy: &DynamicMessage = policy.as_message().unwrap();
        let scopes = policy.get_field_by_name("scopes").unwrap().into_owned();
        let scopes = scopes.as_list().unwrap().iter();
        scopes.map(|scope| scope.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn an_admins_session_may_do_everything_that_the_contract_lets_users_do() {
        let pool = DescriptorPool::decode(bookmesh_proto::FILE_DESCRIPTOR_SET).unwrap();
        let policy = pool.get_extension_by_name("bookmesh.edge.v1.policy").unwrap();
        let granted: Vec<&str> = Role::Admin.scopes().split(' ').collect();
        let methods = pool
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>());

        let mut asked: Vec<String> = methods
            .flat_map(|method| asked_for(&method.options().get_extension(&policy)))
            .collect();

        asked.sort();
        asked.dedup();
        assert_eq!(granted, asked);
    }
}
