//! A log-in at a provider that is under way: its secrets, and what is stored of them.

use anyhow::Context;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use service::status::Violation;
use time::Duration;

use crate::{
    master_key::{MasterKey, hex},
    password::random_bytes,
};

/// How long the user has at the provider.
pub(crate) const ATTEMPT_LIFE: Duration = Duration::minutes(10);

const SECRET_BYTES: usize = 32;
/// Of a code: RFC 6749 sets no limit, and providers stay far below.
const CODE_MAX_BYTES: usize = 8 * 1024;
const ISSUER_MAX_BYTES: usize = 2 * 1024;

/// What one log-in has of its own at the provider. Each secret is 256 random bits in base64url.
pub(crate) struct Attempt {
    pub secrets: Secrets,
    pub redirect_uri: String,
}

/// What nobody but us and the provider may know.
pub(crate) struct Secrets {
    pub nonce: String,
    pub verifier: String,
}

/// What the browser brings back, within its rules.
pub(crate) struct Given {
    pub state_hash: [u8; 32],
    pub binding_hash: [u8; 32],
    pub code: String,
    /// The issuer, when the provider has told it (RFC 9207).
    pub issuer: Option<String>,
}

impl Attempt {
    pub(crate) fn new(redirect_uri: String) -> Attempt {
        Attempt {
            secrets: Secrets {
                nonce: random_secret(),
                verifier: random_secret(),
            },
            redirect_uri,
        }
    }
}

impl Secrets {
    /// Good for the attempt with this state alone.
    pub(crate) fn seal(&self, key: &MasterKey, state_hash: &[u8]) -> Vec<u8> {
        let both = format!("{} {}", self.nonce, self.verifier);
        key.seal(&purpose(state_hash), both.as_bytes())
    }

    pub(crate) fn open(key: &MasterKey, state_hash: &[u8], sealed: &[u8]) -> anyhow::Result<Secrets> {
        let both = String::from_utf8(key.open(&purpose(state_hash), sealed)?).context("reading sealed secrets")?;
        let (nonce, verifier) = both.split_once(' ').context("parting sealed secrets")?;
        Ok(Secrets {
            nonce: nonce.to_owned(),
            verifier: verifier.to_owned(),
        })
    }
}

impl Given {
    /// Answers every broken rule at once.
    pub(crate) fn parse(state: &str, code: String, binding: &str, issuer: String) -> Result<Given, Vec<Violation>> {
        let rules = [
            (state.is_empty(), "state", "must not be empty"),
            (code.is_empty(), "code", "must not be empty"),
            (code.len() > CODE_MAX_BYTES, "code", "must be at most 8,192 bytes long"),
            (binding.is_empty(), "binding", "must not be empty"),
            (
                issuer.len() > ISSUER_MAX_BYTES,
                "iss",
                "must be at most 2,048 bytes long",
            ),
        ];
        let broken = rules.into_iter().filter(|(is_broken, ..)| *is_broken);
        let violations: Vec<Violation> = broken.map(|(_, field, rule)| Violation::new(field, rule)).collect();
        if !violations.is_empty() {
            return Err(violations);
        }
        Ok(Given {
            state_hash: hash(state),
            binding_hash: hash(binding),
            code,
            issuer: (!issuer.is_empty()).then_some(issuer),
        })
    }
}

/// A new state or binding, and the hash that is stored of it.
pub(crate) fn secret_and_hash() -> (String, [u8; 32]) {
    let secret = random_secret();
    let stored = hash(&secret);
    (secret, stored)
}

fn random_secret() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(random_bytes::<SECRET_BYTES>())
}

/// Plain SHA-256 will do: nobody can try 256 random bits.
fn hash(secret: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    hash
}

fn purpose(state_hash: &[u8]) -> String {
    format!("secrets of oidc attempt {}", hex(state_hash))
}
