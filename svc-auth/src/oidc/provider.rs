//! One provider: what it publishes, the address of its log-in page, and what it makes of a code.

use std::{borrow::Cow, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, ensure};
use openidconnect::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, JsonWebKeySetUrl, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, TokenUrl,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreIdToken, CoreJsonWebKeySet,
        CoreRequestTokenError, CoreTokenResponse,
    },
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::time::timeout;
use url::Url;

use super::{
    attempt::{Attempt, Given},
    cached::Cached,
    http::{Http, HttpError},
    id_token::{self, Person, Refusal},
    settings::{ProviderSettings, is_loopback, require_safe},
};

const DISCOVERY_PATH: &str = ".well-known/openid-configuration";
/// Of everything that one call asks a provider.
const DEADLINE: Duration = Duration::from_secs(8);

pub(crate) struct Provider {
    pub(super) settings: ProviderSettings,
    pub(super) published: Arc<Published>,
    http: Http,
}

/// What the issuer says of itself. Outlives a change of the settings.
pub(super) struct Published {
    pub(super) issuer: IssuerUrl,
    metadata: Cached<Metadata>,
    keys: Cached<CoreJsonWebKeySet>,
}

/// As much as we need of OpenID Connect Discovery 1.0, section 3.
#[derive(Deserialize)]
struct Metadata {
    issuer: IssuerUrl,
    authorization_endpoint: AuthUrl,
    token_endpoint: TokenUrl,
    jwks_uri: JsonWebKeySetUrl,
    /// Not said: `client_secret_basic`.
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether each answer names its issuer (RFC 9207).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Why a provider's answer leads to nothing.
#[derive(Debug)]
pub(crate) enum ProviderError {
    /// It does not answer, or nonsense: later it may.
    Unavailable(anyhow::Error),
    /// Its answer proves nothing.
    Refused(String),
}

impl Provider {
    pub(super) fn new(settings: ProviderSettings, published: Option<Arc<Published>>, http: Http) -> Provider {
        let published = published.unwrap_or_else(|| {
            Arc::new(Published {
                issuer: settings.issuer.clone(),
                metadata: Cached::default(),
                keys: Cached::default(),
            })
        });
        Provider {
            settings,
            published,
            http,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.settings.id
    }

    pub(crate) fn display_name(&self) -> &str {
        &self.settings.display_name
    }

    pub(crate) fn issuer(&self) -> &str {
        self.settings.issuer.as_str()
    }

    /// To the letter, as RFC 9700 has it: a prefix would let a browser be sent on.
    pub(crate) fn knows_redirect_uri(&self, uri: &str) -> bool {
        self.settings.redirect_uris.iter().any(|known| known == uri)
    }

    /// Where the browser goes to begin.
    pub(crate) async fn authorization_url(
        &self,
        attempt: &Attempt,
        state: &str,
        now: OffsetDateTime,
    ) -> Result<Url, ProviderError> {
        let metadata = within_deadline(async { Ok(self.metadata(now).await?) }).await?;
        let verifier = PkceCodeVerifier::new(attempt.secrets.verifier.clone());
        let state = CsrfToken::new(state.to_owned());
        let nonce = Nonce::new(attempt.secrets.nonce.clone());
        let client = self.client(&metadata);
        let request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, || nonce)
            .add_scopes(self.settings.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .set_redirect_uri(Cow::Owned(redirect_url(attempt)?));
        Ok(request.url().0)
    }

    /// Trades the code for an id token, and tells whose it is.
    pub(crate) async fn redeem(
        &self,
        attempt: &Attempt,
        given: &Given,
        now: OffsetDateTime,
    ) -> Result<Person, ProviderError> {
        within_deadline(async {
            let metadata = self.metadata(now).await?;
            self.require_own_answer(&metadata, given)?;
            let token = self.exchange(&metadata, attempt, given).await?;
            self.verify(&metadata, &token, attempt, now).await
        })
        .await
    }

    /// An answer that names another issuer was meant for a log-in there: a mix-up.
    fn require_own_answer(&self, metadata: &Metadata, given: &Given) -> Result<(), ProviderError> {
        match &given.issuer {
            Some(issuer) if issuer == self.issuer() => Ok(()),
            None if !metadata.authorization_response_iss_parameter_supported => Ok(()),
            Some(_) | None => Err(ProviderError::Refused("the answer is not this provider's".to_owned())),
        }
    }

    async fn exchange(
        &self,
        metadata: &Metadata,
        attempt: &Attempt,
        given: &Given,
    ) -> Result<CoreIdToken, ProviderError> {
        let client = self.client(metadata);
        let response: Result<CoreTokenResponse, _> = client
            .exchange_code(AuthorizationCode::new(given.code.clone()))
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.secrets.verifier.clone()))
            .set_redirect_uri(Cow::Owned(redirect_url(attempt)?))
            .request_async(&self.http)
            .await;
        let response = response?;
        let token = response.extra_fields().id_token().cloned();
        token.ok_or_else(|| ProviderError::Refused("there is no id token".to_owned()))
    }

    /// A key that is not known is looked for once more: the provider may have changed its keys. Nobody but the provider can make us
    /// ask, since the token came from there.
    async fn verify(
        &self,
        metadata: &Metadata,
        token: &CoreIdToken,
        attempt: &Attempt,
        now: OffsetDateTime,
    ) -> Result<Person, ProviderError> {
        let nonce = Nonce::new(attempt.secrets.nonce.clone());
        let uri = metadata.jwks_uri.url();
        let keys = self.published.keys.get(now, self.http.get_json(uri)).await?;
        let verified = match id_token::verify(&self.settings, &keys, token, &nonce, now) {
            Err(Refusal::UnknownKey) => {
                let keys = self.published.keys.renew(now, self.http.get_json(uri)).await?;
                id_token::verify(&self.settings, &keys, token, &nonce, now)
            }
            verified => verified,
        };
        verified.map_err(|refusal| match refusal {
            Refusal::UnknownKey => ProviderError::Refused("the id token is signed with an unknown key".to_owned()),
            Refusal::Other(cause) => ProviderError::Refused(format!("the id token is not good: {cause}")),
        })
    }

    async fn metadata(&self, now: OffsetDateTime) -> anyhow::Result<Arc<Metadata>> {
        let fetch = async {
            let url = self.settings.issuer.join(DISCOVERY_PATH).context("making an address")?;
            let metadata: Metadata = self.http.get_json(&url).await?;
            metadata.check(&self.settings.issuer)?;
            Ok(metadata)
        };
        self.published.metadata.get(now, fetch).await
    }

    fn client(&self, metadata: &Metadata) -> ReadyClient {
        let client_id = ClientId::new(self.settings.client_id.clone());
        // The keys are handed to the verifier instead.
        let no_keys = CoreJsonWebKeySet::new(Vec::new());
        let mut client = CoreClient::new(client_id, self.settings.issuer.clone(), no_keys);
        if let Some(secret) = &self.settings.client_secret {
            client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
        }
        client
            .set_auth_type(metadata.auth_type())
            .set_auth_uri(metadata.authorization_endpoint.clone())
            .set_token_uri(metadata.token_endpoint.clone())
    }
}

impl Metadata {
    /// Whoever answers for an issuer must be that issuer, and must not lead us to where a listener could be.
    fn check(&self, issuer: &IssuerUrl) -> anyhow::Result<()> {
        ensure!(self.issuer == *issuer, "the provider says that it is another issuer");
        let urls = [
            self.authorization_endpoint.url(),
            self.token_endpoint.url(),
            self.jwks_uri.url(),
        ];
        for url in urls {
            require_safe(url).with_context(|| format!("the provider's address {url}"))?;
            ensure!(
                is_loopback(issuer.url()) || !is_loopback(url),
                "the provider's address {url} is one of this machine"
            );
        }
        Ok(())
    }

    fn auth_type(&self) -> AuthType {
        let methods = self
            .token_endpoint_auth_methods_supported
            .as_deref()
            .unwrap_or_default();
        let has = |method: &str| methods.iter().any(|known| known == method);
        match has("client_secret_post") && !has("client_secret_basic") {
            true => AuthType::RequestBody,
            false => AuthType::BasicAuth,
        }
    }
}

/// A client that knows both addresses of its provider.
type ReadyClient = CoreClient<
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
>;

async fn within_deadline<T>(work: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ProviderError> {
    match timeout(DEADLINE, work).await {
        Ok(done) => done,
        Err(_) => Err(anyhow!("the provider takes too long").into()),
    }
}

fn redirect_url(attempt: &Attempt) -> anyhow::Result<RedirectUrl> {
    RedirectUrl::new(attempt.redirect_uri.clone()).context("reading a redirect uri")
}

impl From<anyhow::Error> for ProviderError {
    fn from(error: anyhow::Error) -> ProviderError {
        ProviderError::Unavailable(error)
    }
}

/// Without the cause where that would show bytes of the answer: there may be tokens in it.
impl From<CoreRequestTokenError<HttpError>> for ProviderError {
    fn from(error: CoreRequestTokenError<HttpError>) -> ProviderError {
        match error {
            RequestTokenError::ServerResponse(response) => match response.error() {
                CoreErrorResponseType::InvalidGrant => ProviderError::Refused("the code is not good".to_owned()),
                other => anyhow!("the provider refuses us: {other}").into(),
            },
            RequestTokenError::Request(error) => anyhow::Error::new(error).into(),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                anyhow!("the provider's answer to a code is not what it should be").into()
            }
        }
    }
}
