//! What an id token proves: who somebody is at their provider.

use std::time::SystemTime;

use openidconnect::{
    ClaimsVerificationError, ClientId, Nonce, SignatureVerificationError,
    core::{
        CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreJwsSigningAlgorithm as Algorithm,
    },
};
use time::{Duration, OffsetDateTime};

use super::{attempt::ATTEMPT_LIFE, settings::ProviderSettings};

/// Signatures by a key pair alone: whoever knows the public key, or the client secret, cannot make one.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::RsaSsaPssSha384,
    Algorithm::RsaSsaPssSha512,
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EdDsa,
];
/// How far the provider's clock may be off.
const LEEWAY: Duration = Duration::seconds(60);
/// OpenID Connect Core 1.0, section 2.
const SUBJECT_MAX_BYTES: usize = 255;

/// Somebody as their provider knows them.
pub(crate) struct Person {
    pub provider_id: String,
    pub issuer: String,
    pub subject: String,
    /// When the provider says that it is theirs.
    pub verified_email: Option<String>,
    pub name: String,
}

#[derive(Debug)]
pub(super) enum Refusal {
    /// Signed with a key that the provider had not published when it was last asked.
    UnknownKey,
    Other(String),
}

pub(super) fn verify(
    settings: &ProviderSettings,
    keys: &CoreJsonWebKeySet,
    token: &CoreIdToken,
    nonce: &Nonce,
    now: OffsetDateTime,
) -> Result<Person, Refusal> {
    let client_id = ClientId::new(settings.client_id.clone());
    let moment = SystemTime::from(now - LEEWAY);
    // As a public client whatever we are, so that no symmetric algorithm has a key.
    let verifier = CoreIdTokenVerifier::new_public_client(client_id.clone(), settings.issuer.clone(), keys.clone())
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || moment.into())
        .set_issue_time_verifier_fn(move |issued| check_issue_time(issued.timestamp(), now));
    let claims = token.claims(&verifier, nonce)?;
    // The crate leaves this one to its users; several audiences it refuses itself.
    if claims.authorized_party().is_some_and(|party| *party != client_id) {
        return Err(Refusal::Other("it was issued to another client".to_owned()));
    }
    if claims.subject().is_empty() || claims.subject().len() > SUBJECT_MAX_BYTES {
        return Err(Refusal::Other("its subject is empty or too long".to_owned()));
    }
    Ok(person(settings, claims))
}

/// A token older than the attempt that it answers was made for something else.
fn check_issue_time(issued: i64, now: OffsetDateTime) -> Result<(), String> {
    let age = Duration::seconds(now.unix_timestamp().saturating_sub(issued));
    if age < -LEEWAY || age > ATTEMPT_LIFE + LEEWAY {
        return Err("it was issued too long ago or in the future".to_owned());
    }
    Ok(())
}

fn person(settings: &ProviderSettings, claims: &CoreIdTokenClaims) -> Person {
    let is_verified = claims.email_verified() == Some(true);
    let email = claims.email().filter(|_| is_verified);
    let name = claims.name().and_then(|names| names.get(None));
    Person {
        provider_id: settings.id.clone(),
        issuer: settings.issuer.to_string(),
        subject: claims.subject().to_string(),
        verified_email: email.map(|email| email.to_string()),
        name: name.map(|name| name.to_string()).unwrap_or_default(),
    }
}

impl From<ClaimsVerificationError> for Refusal {
    fn from(error: ClaimsVerificationError) -> Refusal {
        match error {
            ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
                Refusal::UnknownKey
            }
            ClaimsVerificationError::SignatureVerification(cause) => Refusal::Other(cause.to_string()),
            other => Refusal::Other(other.to_string()),
        }
    }
}
