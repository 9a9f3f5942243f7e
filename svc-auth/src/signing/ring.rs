//! The keys as one replica has read them.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bookmesh_proto::auth::v1::{Jwk, Jwks};
use jsonwebtoken::EncodingKey;
use time::OffsetDateTime;

use crate::{master_key::MasterKey, store::SigningKeyRow};

/// All keys that were published at `read_at`.
pub(super) struct Ring {
    /// The key that signs now, after those whose turn is to come; never none.
    turns: Vec<Turn>,
    public: HashMap<String, [u8; 32]>,
    jwks: Jwks,
    read_at: OffsetDateTime,
}

struct Turn {
    id: String,
    activates_at: OffsetDateTime,
    key: EncodingKey,
}

impl Ring {
    /// Of rows that are ordered newest first. What has had its turn signs nothing more, and its private half stays sealed.
    pub(super) fn new(rows: &[SigningKeyRow], master_key: &MasterKey, read_at: OffsetDateTime) -> anyhow::Result<Ring> {
        ensure!(!rows.is_empty(), "there is no signing key");
        let mut public = HashMap::new();
        let mut turns: Vec<Turn> = Vec::new();
        for row in rows {
            let bytes: [u8; 32] = row.public_key.as_slice().try_into().context("reading a public key")?;
            public.insert(row.id.clone(), bytes);
            if turns.last().is_some_and(|turn| turn.activates_at <= read_at) {
                continue;
            }
            let pkcs8 = master_key
                .open(&purpose(&row.id), &row.private_key_sealed)
                .context("opening a signing key: is AUTH_MASTER_KEY the one it was sealed with?")?;
            turns.push(Turn {
                id: row.id.clone(),
                activates_at: row.activates_at,
                key: EncodingKey::from_ed_der(&pkcs8),
            });
        }
        let jwks = Jwks {
            keys: rows.iter().map(jwk).collect(),
        };
        Ok(Ring {
            turns,
            public,
            jwks,
            read_at,
        })
    }

    /// The key that signs at `now`, with its id. Before the first one's turn, by a clock that is behind, the oldest.
    pub(super) fn active(&self, now: OffsetDateTime) -> (&str, &EncodingKey) {
        let active = self.turns.iter().find(|turn| turn.activates_at <= now);
        let active = active.or(self.turns.last()).expect("a ring is never empty");
        (&active.id, &active.key)
    }

    pub(super) fn public_key(&self, id: &str) -> Option<[u8; 32]> {
        self.public.get(id).copied()
    }

    pub(super) fn jwks(&self) -> Jwks {
        self.jwks.clone()
    }

    pub(super) fn read_at(&self) -> OffsetDateTime {
        self.read_at
    }
}

/// What the private half is sealed for.
pub(super) fn purpose(id: &str) -> String {
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
