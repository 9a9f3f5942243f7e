//! What svc-auth reads from its environment.

use std::{path::PathBuf, sync::Arc, thread::available_parallelism, time::Duration};

use secrecy::SecretString;
use service::config::{Environment, ServiceConfig};
use url::Url;

use crate::{
    admission::{EmailConfirmation, Registering},
    api_token::TokenEnvironment,
    hashing_cost::HashingCost,
    letters::PublicUrl,
    mailer::MailConfig,
    master_key::MasterKey,
    oidc::Providers,
    signing::Period,
};

/// How many mails of a kind an address gets within an hour: enough for somebody who is slow, too few to be a nuisance.
const MAILS_PER_HOUR: u32 = 5;

pub struct Config {
    pub(crate) service: ServiceConfig,
    pub(crate) database_url: SecretString,
    pub(crate) database_max_connections: u32,
    pub(crate) redis_url: SecretString,
    pub(crate) redis_timeout: Duration,
    pub(crate) nats_url: String,
    pub(crate) master_key: Arc<MasterKey>,
    pub(crate) hashing_cores: usize,
    pub(crate) hashing_cost: HashingCost,
    pub(crate) signing_period: Period,
    pub(crate) token_environment: TokenEnvironment,
    /// The domain that passkeys are for, and the page of it that browsers show.
    pub(crate) passkey_rp_id: String,
    pub(crate) passkey_origin: Url,
    pub(crate) registering: Registering,
    pub(crate) email_confirmation: EmailConfirmation,
    pub(crate) mail: MailConfig,
    pub(crate) mails_per_hour: u32,
    pub(crate) public_url: PublicUrl,
    pub(crate) oidc: Arc<Providers>,
}

/// What `svc-auth verify-audit` reads.
pub struct VerifyAuditConfig {
    pub(crate) owner_url: SecretString,
    pub(crate) master_key: MasterKey,
    /// The head that an earlier verification told.
    pub(crate) expected_head: Option<String>,
}

/// What `svc-auth make-admin` reads.
pub struct MakeAdminConfig {
    pub(crate) owner_url: SecretString,
    pub(crate) master_key: MasterKey,
}

impl MakeAdminConfig {
    pub fn from_environment(environment: &mut Environment) -> Option<MakeAdminConfig> {
        let owner_url = environment.secret("AUTH_MIGRATION_DATABASE_URL");
        let master_key = environment.parsed_file("AUTH_MASTER_KEY", MasterKey::parse);
        Some(MakeAdminConfig {
            owner_url: owner_url?,
            master_key: master_key?,
        })
    }
}

impl VerifyAuditConfig {
    pub fn from_environment(environment: &mut Environment) -> Option<VerifyAuditConfig> {
        let owner_url = environment.secret("AUTH_MIGRATION_DATABASE_URL");
        let master_key = environment.parsed_file("AUTH_MASTER_KEY", MasterKey::parse);
        let expected_head = environment.optional("AUTH_AUDIT_HEAD");
        Some(VerifyAuditConfig {
            owner_url: owner_url?,
            master_key: master_key?,
            expected_head: expected_head?,
        })
    }
}

impl Config {
    pub fn from_environment(environment: &mut Environment) -> Option<Config> {
        let service = ServiceConfig::from_environment(environment, "AUTH");
        let database_url = environment.secret("AUTH_DATABASE_URL");
        let database_max_connections = environment.or("AUTH_DATABASE_MAX_CONNECTIONS", 10);
        let redis_url = environment.secret("BOOKMESH_REDIS_URL");
        let redis_timeout_ms = environment.or("AUTH_REDIS_TIMEOUT_MS", 50);
        let nats_url = environment.required("BOOKMESH_NATS_URL");
        let master_key = environment.parsed_file("AUTH_MASTER_KEY", MasterKey::parse);
        let token_environment = environment.or("AUTH_API_TOKEN_ENVIRONMENT", TokenEnvironment::default());
        let signing_days = environment.or("AUTH_SIGNING_KEY_DAYS", 30);
        let passkey_rp_id = environment.or("AUTH_PASSKEY_RP_ID", "localhost".to_owned());
        let local_page = Url::parse("http://localhost:8080").expect("it is written here");
        let passkey_origin = environment.or("AUTH_PASSKEY_ORIGIN", local_page);
        let oidc = providers(environment);
        let cores = available_parallelism().map_or(1, usize::from);
        let hashing_cores = environment.or("AUTH_HASHING_CORES", cores);
        let hashing_cost = environment.or("AUTH_HASHING_COST", HashingCost::DEFAULT);
        let registering = environment.or("AUTH_REGISTRATION", Registering::Open);
        let email_confirmation = environment.or("AUTH_EMAIL_CONFIRMATION", EmailConfirmation::Optional);
        let mail = MailConfig::from_environment(environment);
        let mails_per_hour = environment.or("AUTH_MAILS_PER_HOUR", MAILS_PER_HOUR);
        let public_url = environment.required("AUTH_PUBLIC_URL");
        Some(Config {
            service: service?,
            database_url: database_url?,
            database_max_connections: database_max_connections?,
            redis_url: redis_url?,
            redis_timeout: Duration::from_millis(redis_timeout_ms?),
            nats_url: nats_url?,
            master_key: Arc::new(master_key?),
            token_environment: token_environment?,
            passkey_rp_id: passkey_rp_id?,
            passkey_origin: passkey_origin?,
            oidc: Arc::new(oidc?),
            hashing_cores: hashing_cores?.max(1),
            hashing_cost: hashing_cost?,
            signing_period: Period::days(signing_days?),
            registering: registering?,
            email_confirmation: email_confirmation?,
            mail: mail?,
            mails_per_hour: mails_per_hour?,
            public_url: public_url?,
        })
    }
}

fn providers(environment: &mut Environment) -> Option<Providers> {
    let variable = "AUTH_OIDC_PROVIDERS";
    let file: Option<PathBuf> = environment.optional(variable)?;
    match Providers::load(file) {
        Ok(providers) => Some(providers),
        Err(error) => environment.wrong(variable, format!("cannot be used: {error:#}")),
    }
}
