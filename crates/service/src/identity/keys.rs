//! Public keys: Ed25519, from RFC 7517 key sets.

use std::{collections::HashMap, fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bookmesh_proto::auth::v1 as auth;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;

const ED25519_KEY_BYTES: usize = 32;

/// An Ed25519 key that checks signatures.
#[derive(Clone)]
pub struct PublicKey(Arc<DecodingKey>);

/// The public keys of all services, by their names.
#[derive(Clone)]
pub struct ServiceKeys(Arc<HashMap<String, PublicKey>>);

/// Why a key set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is not a JSON key set.
    #[error("not a JSON key set: {0}")]
    Json(#[from] serde_json::Error),
    /// One of its keys is not an Ed25519 public key.
    #[error("key `{0}` is not an Ed25519 public key")]
    Key(String),
    /// Two keys have the same id.
    #[error("key `{0}` is there twice")]
    Twice(String),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    kty: String,
    crv: String,
    x: String,
    kid: String,
}

impl PublicKey {
    /// A key from its 32 bytes.
    pub fn from_bytes(bytes: &[u8; ED25519_KEY_BYTES]) -> Self {
        Self(Arc::new(DecodingKey::from_ed_der(bytes)))
    }

    pub(crate) fn decoding_key(&self) -> &DecodingKey {
        &self.0
    }
}

impl ServiceKeys {
    /// Reads a key set such as `.dev/keys/services.jwks.json`; `kid` is the folder name of a service.
    pub fn from_json(json: &str) -> Result<Self, KeyError> {
        let set: Set = serde_json::from_str(json)?;
        let keys = set
            .keys
            .iter()
            .map(|key| (key.kid.as_str(), key.kty.as_str(), key.crv.as_str(), key.x.as_str()));
        Ok(Self(Arc::new(collect(keys)?)))
    }

    /// Keys that are already at hand, by service name.
    pub fn from_keys(keys: HashMap<String, PublicKey>) -> Self {
        Self(Arc::new(keys))
    }

    /// The key of the service `name`.
    pub fn get(&self, name: &str) -> Option<PublicKey> {
        self.0.get(name).cloned()
    }
}

/// The keys that svc-auth answers with.
pub(crate) fn from_proto(set: &auth::Jwks) -> Result<HashMap<String, PublicKey>, KeyError> {
    collect(
        set.keys
            .iter()
            .map(|key| (key.kid.as_str(), key.kty.as_str(), key.crv.as_str(), key.x.as_str())),
    )
}

fn collect<'a>(
    keys: impl Iterator<Item = (&'a str, &'a str, &'a str, &'a str)>,
) -> Result<HashMap<String, PublicKey>, KeyError> {
    let mut by_id = HashMap::new();
    for (kid, kty, crv, x) in keys {
        let key = parse(kty, crv, x).ok_or_else(|| KeyError::Key(kid.to_owned()))?;
        if by_id.insert(kid.to_owned(), key).is_some() {
            return Err(KeyError::Twice(kid.to_owned()));
        }
    }
    Ok(by_id)
}

fn parse(kty: &str, crv: &str, x: &str) -> Option<PublicKey> {
    if (kty, crv) != ("OKP", "Ed25519") {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(x).ok()?;
    Some(PublicKey::from_bytes(bytes.as_slice().try_into().ok()?))
}

impl fmt::Debug for ServiceKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&String> = self.0.keys().collect();
        names.sort();
        formatter.debug_tuple("ServiceKeys").field(&names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn set(keys: &str) -> Result<ServiceKeys, KeyError> {
        ServiceKeys::from_json(&format!(r#"{{"keys":[{keys}]}}"#))
    }

    #[test]
    fn a_key_set_is_looked_up_by_service() {
        let keys = set(&format!(
            r#"{{"kty":"OKP","crv":"Ed25519","use":"sig","kid":"svc-task","x":"{X}"}}"#
        ))
        .unwrap();

        assert!(keys.get("svc-task").is_some());
        assert!(keys.get("../svc-task").is_none());
        assert_eq!(format!("{keys:?}"), r#"ServiceKeys(["svc-task"])"#);
    }

    #[test]
    fn other_kinds_of_keys_are_refused() {
        for key in [
            format!(r#"{{"kty":"RSA","crv":"Ed25519","kid":"a","x":"{X}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"X25519","kid":"a","x":"{X}"}}"#),
            r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AAAA"}"#.to_owned(),
        ] {
            assert_eq!(
                set(&key).unwrap_err().to_string(),
                "key `a` is not an Ed25519 public key"
            );
        }
    }

    #[test]
    fn an_id_names_one_key() {
        let key = format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{X}"}}"#);

        assert_eq!(
            set(&format!("{key},{key}")).unwrap_err().to_string(),
            "key `a` is there twice"
        );
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        assert!(matches!(ServiceKeys::from_json("[]"), Err(KeyError::Json(_))));
    }
}
