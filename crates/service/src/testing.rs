//! For tests of services: tokens of any user and any service, and a verifier that trusts them.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use uuid::Uuid;

use crate::{
    clock,
    config::ServiceConfig,
    identity::{
        ACCESS_AUDIENCE, ACCESS_ISSUER, ACCESS_TYPE, EndedSessions, PublicKey, ServiceKeys, ServiceSigner, Verifier,
    },
};

/// The key id of the access tokens made here.
pub const TEST_KEY_ID: &str = "test";
const SERVICES: [&str; 6] = [
    "edge-gateway",
    "svc-auth",
    "svc-bookmarks",
    "svc-import",
    "svc-enrich",
    "svc-task",
];
const ACCESS_TOKEN_SECONDS: i64 = 300;

/// An issuer of access tokens, and every service's signer, behind one key.
pub struct TestIssuer {
    pkcs8: Vec<u8>,
    public_key: PublicKey,
    ended: EndedSessions,
}

impl TestIssuer {
    /// An issuer with a new key.
    pub fn new() -> Self {
        let pair = Ed25519KeyPair::generate().expect("the system has random numbers");
        let pkcs8 = pair.to_pkcs8v1().expect("a new key can be written").as_ref().to_vec();
        let public_bytes = pair
            .public_key()
            .as_ref()
            .try_into()
            .expect("Ed25519 keys have 32 bytes");
        Self {
            pkcs8,
            public_key: PublicKey::from_bytes(public_bytes),
            ended: EndedSessions::default(),
        }
    }

    /// An access token of the user, of a log-in of its own.
    pub fn access_token(&self, user_id: Uuid) -> String {
        self.access_token_of(user_id, Uuid::now_v7())
    }

    /// An access token of the user and the log-in.
    pub fn access_token_of(&self, user_id: Uuid, session_id: Uuid) -> String {
        let now = clock::now().unix_timestamp();
        let claims = json!({
            "iss": ACCESS_ISSUER, "aud": ACCESS_AUDIENCE, "sub": user_id, "sid": session_id,
            "iat": now, "nbf": now, "exp": now + ACCESS_TOKEN_SECONDS,
        });
        self.sign(&claims)
    }

    /// An access token with any claims at all.
    pub fn sign(&self, claims: &serde_json::Value) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(ACCESS_TYPE.to_owned());
        header.kid = Some(TEST_KEY_ID.to_owned());
        encode(&header, claims, &EncodingKey::from_ed_der(&self.pkcs8)).expect("claims are JSON and the key is good")
    }

    /// A service token of `service` that lets `audience` work for `owner`.
    pub fn service_token(&self, service: &str, owner: Uuid, audience: &str) -> String {
        self.signer(service).token(owner, audience, clock::now()).to_string()
    }

    /// The signer of any service.
    pub fn signer(&self, service: &str) -> ServiceSigner {
        ServiceSigner::new(service, &self.private_key_pem()).expect("the key was made here")
    }

    /// The private key, as `<PREFIX>_SERVICE_KEY` names a file of.
    pub fn private_key_pem(&self) -> String {
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(&self.pkcs8)
        )
    }

    /// The public keys of all services: the one key, under each name.
    pub fn service_keys(&self) -> ServiceKeys {
        let keys: HashMap<String, PublicKey> = SERVICES
            .iter()
            .map(|name| ((*name).to_owned(), self.public_key.clone()))
            .collect();
        ServiceKeys::from_keys(keys)
    }

    /// A verifier for the service `own_name` that trusts the tokens made here.
    pub fn verifier(&self, own_name: &str) -> Verifier {
        let key = self.public_key.clone();
        let lookup = Arc::new(move |key_id: &str| (key_id == TEST_KEY_ID).then(|| key.clone()));
        Verifier::local(own_name, lookup, self.service_keys(), self.ended.clone())
    }

    /// Makes the verifiers refuse the access tokens of a session.
    pub fn end_session(&self, session_id: Uuid) {
        self.ended.add([session_id], clock::now());
    }

    /// What every service reads, on a free admin port.
    pub fn service_config(&self) -> ServiceConfig {
        ServiceConfig {
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            settle: Duration::ZERO,
            service_keys: self.service_keys(),
        }
    }
}

impl Default for TestIssuer {
    fn default() -> Self {
        Self::new()
    }
}
