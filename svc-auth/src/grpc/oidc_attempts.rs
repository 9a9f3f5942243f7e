//! What logging in at a provider and linking an account there have in common: sending the browser there, and finding out who came back.

use bookmesh_proto::auth::v1::OidcAttempt;
use service::{postgres, status::Violation, time::to_proto};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::Auth;
use crate::{
    error::{Error, OidcError},
    oidc::{ATTEMPT_LIFE, Attempt, Given, Person, Provider, ProviderError, Secrets, secret_and_hash},
    store::{self, AttemptRow, NewAttempt, Whose},
};

/// An attempt of which nothing is stored yet.
pub(super) struct Prepared {
    attempt: Attempt,
    state: String,
    state_hash: [u8; 32],
    provider_id: String,
    issuer: String,
    authorization_url: String,
}

/// Asks the provider, so that no transaction has to be open meanwhile.
pub(super) async fn prepare(
    auth: &Auth,
    provider_id: &str,
    redirect_uri: String,
    now: OffsetDateTime,
) -> Result<Prepared, Error> {
    let provider = auth.oidc.find(provider_id).ok_or(OidcError::ProviderNotFound)?;
    if !provider.knows_redirect_uri(&redirect_uri) {
        return Err(Violation::new("redirect_uri", "must be one that is registered for the provider").into());
    }
    let attempt = Attempt::new(redirect_uri);
    let (state, state_hash) = secret_and_hash();
    let url = provider.authorization_url(&attempt, &state, now).await;
    let url = url.map_err(|error| refusal(&provider, error))?;
    Ok(Prepared {
        attempt,
        state,
        state_hash,
        provider_id: provider.id().to_owned(),
        issuer: provider.issuer().to_owned(),
        authorization_url: url.into(),
    })
}

impl Prepared {
    pub(super) async fn store(
        self,
        auth: &Auth,
        transaction: &mut PgConnection,
        whose: Whose,
        now: OffsetDateTime,
    ) -> Result<OidcAttempt, Error> {
        let (binding, binding_hash) = secret_and_hash();
        let (state_hash, expires_at) = (self.state_hash, now + ATTEMPT_LIFE);
        let row = AttemptRow {
            provider_id: self.provider_id,
            issuer: self.issuer,
            redirect_uri: self.attempt.redirect_uri,
            secrets_sealed: self.attempt.secrets.seal(&auth.master_key, &state_hash),
        };
        let attempt = NewAttempt {
            whose,
            state_hash: &state_hash,
            binding_hash: &binding_hash,
            row,
            expires_at,
        };
        store::insert_attempt(transaction, attempt, now).await?;
        Ok(OidcAttempt {
            authorization_url: self.authorization_url,
            state: self.state,
            binding,
            expire_time: Some(to_proto(expires_at)),
        })
    }
}

/// Whom the provider has sent back. The attempt is used up whatever comes of it.
pub(super) async fn recognise(auth: &Auth, given: &Given, whose: Whose, now: OffsetDateTime) -> Result<Person, Error> {
    let mut transaction = match whose.user_id {
        Some(user_id) => postgres::begin(&auth.pool, user_id).await?,
        None => postgres::begin_unowned(&auth.pool).await?,
    };
    let taken = store::take_attempt(&mut transaction, whose, &given.state_hash, &given.binding_hash, now).await?;
    transaction.commit().await?;

    let row = taken.ok_or(OidcError::AttemptUnknown)?;
    let provider = auth
        .oidc
        .find(&row.provider_id)
        .filter(|provider| provider.issuer() == row.issuer);
    let provider = provider.ok_or(OidcError::AttemptUnknown)?;
    let attempt = Attempt {
        secrets: Secrets::open(&auth.master_key, &given.state_hash, &row.secrets_sealed)?,
        redirect_uri: row.redirect_uri,
    };
    let person = provider.redeem(&attempt, given, now).await;
    person.map_err(|error| refusal(&provider, error))
}

fn refusal(provider: &Provider, error: ProviderError) -> Error {
    match error {
        ProviderError::Unavailable(error) => {
            let error = format!("{error:#}");
            tracing::warn!(
                provider.id = provider.id(),
                error,
                "an identity provider does not answer as it should"
            );
            OidcError::ProviderUnavailable.into()
        }
        ProviderError::Refused(cause) => {
            tracing::info!(
                provider.id = provider.id(),
                cause,
                "an identity provider's answer was refused"
            );
            OidcError::LogInFailed.into()
        }
    }
}
