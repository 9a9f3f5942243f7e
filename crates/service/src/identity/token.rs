//! The rules that a token must keep. Pure but for the wall clock that expiry is held against.

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, errors::ErrorKind};
use serde::Deserialize;
use uuid::Uuid;

use super::{Caller, Credential, PublicKey, Refusal, Verified};

/// `typ` of access tokens (RFC 9068).
pub const ACCESS_TYPE: &str = "at+jwt";
/// `iss` of access tokens.
pub const ACCESS_ISSUER: &str = "bookmesh";
/// `aud` of access tokens.
pub const ACCESS_AUDIENCE: &str = "bookmesh";
/// `typ` of service tokens: no access token passes for one, nor the other way round.
pub const SERVICE_TYPE: &str = "st+jwt";

/// Ours have 400 bytes; parsing more would only be work for an attacker's sake.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// How far the clocks of two machines may differ.
const LEEWAY_SECONDS: u32 = 5;

/// What kind of token it says it is, and which key it says it was signed with. Nothing of it is believed yet.
pub(super) struct Unverified<'a> {
    text: &'a str,
    pub(super) kind: Kind,
    pub(super) key_id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Access,
    Service,
}

/// `deny_unknown_fields` is left out on purpose: new claims are added before every reader knows them. Numbers are whole:
/// an `exp` as text or with a fraction is refused, as is a claim that comes twice.
#[derive(Deserialize)]
struct AccessClaims {
    sub: Uuid,
    sid: Uuid,
    exp: i64,
    #[serde(default)]
    scope: Option<String>,
    #[serde(rename = "nbf")]
    _not_before: Option<i64>,
    #[serde(rename = "iss")]
    _issuer: String,
    #[serde(rename = "aud")]
    _audience: String,
}

#[derive(Deserialize)]
struct ServiceClaims {
    sub: Uuid,
    iss: String,
    exp: i64,
    #[serde(rename = "nbf")]
    _not_before: Option<i64>,
    #[serde(rename = "aud")]
    _audience: String,
}

impl<'a> Unverified<'a> {
    /// Reads the header. A key, or an address of one, inside the token is ignored.
    pub(super) fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::Invalid);
        }
        let header: Header = decode_header(text).map_err(|_| Refusal::Invalid)?;
        if header.alg != Algorithm::EdDSA || header.crit.is_some() {
            return Err(Refusal::Invalid);
        }
        let kind = match header.typ.as_deref() {
            Some(ACCESS_TYPE) => Kind::Access,
            Some(SERVICE_TYPE) => Kind::Service,
            _ => return Err(Refusal::Invalid),
        };
        let key_id = header.kid.ok_or(Refusal::Invalid)?;
        Ok(Self { text, kind, key_id })
    }

    /// The user, if `key` signed this as an access token that counts now.
    pub(super) fn verify_access(&self, key: &PublicKey) -> Result<Verified, Refusal> {
        let claims: AccessClaims = self.claims(key, ACCESS_ISSUER, ACCESS_AUDIENCE)?;
        Ok(Verified {
            caller: Caller::User {
                user_id: claims.sub,
                session_id: claims.sid,
            },
            credential: Credential::AccessToken,
            scopes: claims
                .scope
                .map(|scope| scope.split_ascii_whitespace().map(str::to_owned).collect()),
            valid_until: claims.exp.saturating_add(i64::from(LEEWAY_SECONDS)),
        })
    }

    /// The service, if `key`, which must be its own, signed this for `audience` and it counts now.
    pub(super) fn verify_service(&self, key: &PublicKey, audience: &str) -> Result<Verified, Refusal> {
        let claims: ServiceClaims = self.claims(key, &self.key_id, audience)?;
        Ok(Verified {
            caller: Caller::Service {
                name: claims.iss,
                owner_id: claims.sub,
            },
            credential: Credential::ServiceToken,
            scopes: None,
            valid_until: claims.exp.saturating_add(i64::from(LEEWAY_SECONDS)),
        })
    }

    fn claims<C: serde::de::DeserializeOwned>(
        &self,
        key: &PublicKey,
        issuer: &str,
        audience: &str,
    ) -> Result<C, Refusal> {
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.leeway = u64::from(LEEWAY_SECONDS);
        rules.validate_nbf = true;
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        rules.set_issuer(&[issuer]);
        rules.set_audience(&[audience]);
        match decode::<C>(self.text, key.decoding_key(), &rules) {
            Ok(token) => Ok(token.claims),
            Err(error) if *error.kind() == ErrorKind::ExpiredSignature => Err(Refusal::Expired),
            Err(_) => Err(Refusal::Invalid),
        }
    }
}
