//! Log-in at other providers by OpenID Connect: which providers there are, what is asked of them, what their answers prove.

mod attempt;
mod cached;
mod http;
mod id_token;
mod provider;
mod providers;
mod settings;

pub(crate) use attempt::{ATTEMPT_LIFE, Attempt, Given, Secrets, secret_and_hash};
pub(crate) use id_token::Person;
pub(crate) use provider::{Provider, ProviderError};
pub(crate) use providers::Providers;
