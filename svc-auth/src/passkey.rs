//! Passkeys (WebAuthn): what browsers are asked for, and whether what they answer is right. Pure but for randomness.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use service::status::Violation;
use time::{Duration, OffsetDateTime};
use url::Url;
use uuid::Uuid;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential,
    Webauthn, WebauthnBuilder, WebauthnError,
};

use crate::{
    error::{Error, FactorError},
    master_key::MasterKey,
};

/// How many a user may have.
pub(crate) const PASSKEYS_MAX: usize = 20;
const CEREMONY_LIFE: Duration = Duration::minutes(5);
const CEREMONY_MAX_BYTES: usize = 16_384;
const REGISTRATION: &str = "ceremony that registers a passkey";
const AUTHENTICATION: &str = "ceremony that uses a passkey";

/// The site that passkeys are for.
pub(crate) struct RelyingParty {
    webauthn: Webauthn,
    master_key: Arc<MasterKey>,
}

/// Whom a passkey is made for, and by which of their sessions.
pub(crate) struct Registrant<'a> {
    pub user_id: Uuid,
    pub session_id: Uuid,
    pub email: &'a str,
    pub display_name: &'a str,
}

/// What a browser is given. The state goes with it, sealed: nothing is kept for whoever only begins.
pub(crate) struct Begun {
    pub ceremony: String,
    pub options: String,
}

/// A ceremony that must not be used twice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ceremony {
    pub id: Uuid,
    pub expires_at: OffsetDateTime,
}

/// A passkey that somebody says they have.
pub(crate) struct Assertion {
    pub ceremony: Ceremony,
    /// Whose the device says it is. Only the key that this user has registered can show that.
    pub user_id: Uuid,
    state: DiscoverableAuthentication,
    credential: PublicKeyCredential,
}

/// A passkey that was made for a user.
pub(crate) struct Registered {
    pub ceremony: Ceremony,
    pub credential_id: Vec<u8>,
    /// To be kept.
    pub credential: String,
}

/// What an assertion is worth.
pub(crate) enum Checked {
    /// With the credential to be kept from now on.
    Right(String),
    Wrong,
    /// The signature is right, but the counter went back: there may be two copies of the key.
    Regressed,
}

#[derive(Serialize, Deserialize)]
struct Sealed<S> {
    id: Uuid,
    expires_at: i64,
    state: S,
}

#[derive(Serialize, Deserialize)]
struct RegistrationState {
    user_id: Uuid,
    session_id: Uuid,
    state: PasskeyRegistration,
}

impl RelyingParty {
    /// `id` is a domain, and `origin` the page of that domain, or of one below it, that browsers show.
    pub(crate) fn new(id: &str, origin: &Url, master_key: Arc<MasterKey>) -> anyhow::Result<RelyingParty> {
        let webauthn = WebauthnBuilder::new(id, origin)
            .and_then(|builder| builder.rp_name("Bookmesh").build())
            .map_err(|error| anyhow!("preparing passkeys of {id} at {origin}: {error}"))?;
        Ok(RelyingParty { webauthn, master_key })
    }

    pub(crate) fn begin_registration(
        &self,
        registrant: &Registrant<'_>,
        have: Vec<Vec<u8>>,
        now: OffsetDateTime,
    ) -> anyhow::Result<Begun> {
        let (options, state) = self
            .webauthn
            .start_passkey_registration(
                registrant.user_id,
                registrant.email,
                registrant.display_name,
                Some(have),
            )
            .map_err(|error| anyhow!("beginning a registration: {error}"))?;
        let mut options = serde_json::to_value(options).context("writing options")?;
        // Otherwise some devices keep no key of which they know whose it is, and a log-in without an address finds none.
        let selection = &mut options["publicKey"]["authenticatorSelection"];
        selection["residentKey"] = json!("required");
        selection["requireResidentKey"] = json!(true);
        let state = RegistrationState {
            user_id: registrant.user_id,
            session_id: registrant.session_id,
            state,
        };
        self.begun(REGISTRATION, &options, state, now)
    }

    /// Nothing when it is not what was asked for, or not of this session.
    pub(crate) fn finish_registration(
        &self,
        ceremony: &str,
        credential: &str,
        of: (Uuid, Uuid),
        now: OffsetDateTime,
    ) -> Result<Registered, Error> {
        let wrong = || Error::Factor(FactorError::WrongPasskey);
        let credential: RegisterPublicKeyCredential = parse_credential("answer", credential)?;
        let (ceremony, state) = self
            .open::<RegistrationState>(REGISTRATION, ceremony, now)
            .ok_or_else(wrong)?;
        if (state.user_id, state.session_id) != of {
            return Err(wrong());
        }
        let passkey = self
            .webauthn
            .finish_passkey_registration(&credential, &state.state)
            .map_err(|error| {
                tracing::info!(error = %error, "passkey refused");
                wrong()
            })?;
        Ok(Registered {
            ceremony,
            credential_id: passkey.cred_id().to_vec(),
            credential: serde_json::to_string(&passkey).context("writing a passkey")?,
        })
    }

    /// Any user's passkey will do: which one it is, the browser asks the user.
    pub(crate) fn begin_authentication(&self, now: OffsetDateTime) -> anyhow::Result<Begun> {
        let (options, state) = self
            .webauthn
            .start_discoverable_authentication()
            .map_err(|error| anyhow!("beginning an authentication: {error}"))?;
        let options = serde_json::to_value(options).context("writing options")?;
        self.begun(AUTHENTICATION, &options, state, now)
    }

    /// `field` is where the answer stands in the request.
    pub(crate) fn parse_assertion(
        &self,
        field: &str,
        ceremony: &str,
        credential: &str,
        now: OffsetDateTime,
    ) -> Result<Assertion, Error> {
        let credential: PublicKeyCredential = parse_credential(field, credential)?;
        let user_id = self
            .webauthn
            .identify_discoverable_authentication(&credential)
            .map(|(user_id, _)| user_id)
            .map_err(|_| Error::Factor(FactorError::WrongPasskey))?;
        let (ceremony, state) = self
            .open(AUTHENTICATION, ceremony, now)
            .ok_or(Error::Factor(FactorError::WrongPasskey))?;
        Ok(Assertion {
            ceremony,
            user_id,
            state,
            credential,
        })
    }

    /// `kept` is what is kept of the credential that the assertion names.
    pub(crate) fn check(&self, assertion: &Assertion, kept: &str) -> anyhow::Result<Checked> {
        let mut passkey: Passkey = serde_json::from_str(kept).context("reading a passkey")?;
        let checked = self.webauthn.finish_discoverable_authentication_v2(
            &assertion.credential,
            assertion.state.clone(),
            &passkey,
        );
        match checked {
            Ok(result) if result.user_verified() => {
                passkey.update_credential(&result);
                Ok(Checked::Right(
                    serde_json::to_string(&passkey).context("writing a passkey")?,
                ))
            }
            Ok(_) => Ok(Checked::Wrong),
            Err(WebauthnError::CredentialPossibleCompromise) => Ok(Checked::Regressed),
            Err(error) => {
                tracing::info!(error = %error, "passkey refused");
                Ok(Checked::Wrong)
            }
        }
    }

    fn begun<S: Serialize>(
        &self,
        purpose: &str,
        options: &Value,
        state: S,
        now: OffsetDateTime,
    ) -> anyhow::Result<Begun> {
        let sealed = Sealed {
            id: Uuid::new_v4(),
            expires_at: (now + CEREMONY_LIFE).unix_timestamp(),
            state,
        };
        let state = serde_json::to_vec(&sealed).context("writing a ceremony")?;
        Ok(Begun {
            ceremony: BASE64_URL_SAFE_NO_PAD.encode(self.master_key.seal(purpose, &state)),
            options: options["publicKey"].to_string(),
        })
    }

    /// Nothing for what was not sealed here for this purpose, and when its time is over.
    fn open<S: DeserializeOwned>(&self, purpose: &str, text: &str, now: OffsetDateTime) -> Option<(Ceremony, S)> {
        if text.len() > CEREMONY_MAX_BYTES {
            return None;
        }
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let opened = self.master_key.open(purpose, &sealed).ok()?;
        let sealed: Sealed<S> = serde_json::from_slice(&opened).ok()?;
        let expires_at = OffsetDateTime::from_unix_timestamp(sealed.expires_at).ok()?;
        let ceremony = Ceremony {
            id: sealed.id,
            expires_at,
        };
        (now < expires_at).then_some((ceremony, sealed.state))
    }
}

impl Assertion {
    pub(crate) fn credential_id(&self) -> &[u8] {
        self.credential.get_credential_id()
    }
}

fn parse_credential<T: DeserializeOwned>(field: &str, text: &str) -> Result<T, Violation> {
    let rule = "must be the JSON of a PublicKeyCredential that a browser made";
    serde_json::from_str(text).map_err(|_| Violation::new(format!("{field}.credential"), rule))
}
