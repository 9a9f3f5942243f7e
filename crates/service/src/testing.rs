//! For tests of services: tokens of any user and any service, and a verifier that trusts them.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bookmesh_proto::auth::v1::{Jwk, Jwks};
use serde_json::json;
use uuid::Uuid;

use crate::{
    clock,
    config::ServiceConfig,
    identity::{
        ACCESS_AUDIENCE, ACCESS_ISSUER, ACCESS_TYPE, EndedSessions, KeyLookup, PublicKey, ServiceKeys, ServiceSigner,
        Verifier,
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
    public_bytes: [u8; 32],
    ended: EndedSessions,
}

impl TestIssuer {
    /// An issuer with a new key.
    pub fn new() -> Self {
        let pair = Ed25519KeyPair::generate().expect("the system has random numbers");
        let pkcs8 = pair.to_pkcs8v1().expect("a new key can be written");
        let public_bytes = pair.public_key().as_ref().try_into();
        Self {
            pkcs8: pkcs8.as_ref().to_vec(),
            public_bytes: public_bytes.expect("Ed25519 keys have 32 bytes"),
            ended: EndedSessions::default(),
        }
    }

    /// An access token of the user, of a log-in of its own.
    pub fn access_token(&self, user_id: Uuid) -> String {
        self.access_token_of(user_id, Uuid::now_v7())
    }

    /// An access token of the user and the log-in.
    pub fn access_token_of(&self, user_id: Uuid, session_id: Uuid) -> String {
        self.access_token_for(user_id, session_id, ACCESS_TOKEN_SECONDS)
    }

    /// An access token that counts for so many seconds: for benchmarks, which take longer than real ones last.
    pub fn access_token_for(&self, user_id: Uuid, session_id: Uuid, seconds: i64) -> String {
        let now = clock::now().unix_timestamp();
        let header = json!({"alg": "EdDSA", "typ": ACCESS_TYPE, "kid": TEST_KEY_ID});
        let claims = json!({
            "iss": ACCESS_ISSUER, "aud": ACCESS_AUDIENCE, "sub": user_id, "sid": session_id,
            "iat": now, "nbf": now, "exp": now + seconds,
        });
        self.sign(&header.to_string(), &claims.to_string())
    }

    /// A well signed token with any header and claims, even such as no JSON writer makes.
    pub fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let pair = Ed25519KeyPair::from_pkcs8(&self.pkcs8).expect("the key was made here");
        let signature = pair.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A service token of `service` that lets `audience` work for `owner`.
    pub fn service_token(&self, service: &str, owner: Uuid, audience: &str) -> String {
        let token = self.signer(service).token(owner, audience, clock::now());
        token.to_string()
    }

    /// The signer of any service.
    pub fn signer(&self, service: &str) -> ServiceSigner {
        ServiceSigner::new(service, &self.private_key_pem()).expect("the key was made here")
    }

    /// The private key, as a file that `<PREFIX>_SERVICE_KEY` names holds it.
    pub fn private_key_pem(&self) -> String {
        let body = STANDARD.encode(&self.pkcs8);
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    }

    /// The public key, as svc-auth answers with it.
    pub fn jwks(&self) -> Jwks {
        let key = Jwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x: URL_SAFE_NO_PAD.encode(self.public_bytes),
            kid: TEST_KEY_ID.to_owned(),
            alg: "EdDSA".to_owned(),
            r#use: "sig".to_owned(),
        };
        Jwks { keys: vec![key] }
    }

    /// The public keys of all services: the one key, under each name.
    pub fn service_keys(&self) -> ServiceKeys {
        let keys = SERVICES.map(|name| (name.to_owned(), self.public_key()));
        ServiceKeys::from_keys(HashMap::from(keys))
    }

    /// A verifier for the service `own_name` that trusts the tokens made here.
    pub fn verifier(&self, own_name: &str) -> Verifier {
        let key = self.public_key();
        let lookup: KeyLookup = Arc::new(move |key_id: &str| {
            let found = (key_id == TEST_KEY_ID).then(|| key.clone());
            Box::pin(std::future::ready(found))
        });
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

    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(&self.public_bytes)
    }
}

impl Default for TestIssuer {
    fn default() -> Self {
        Self::new()
    }
}
