//! What svc-enrich reads from its environment.

use std::time::Duration;

use outbox::ConsumerConfig;
use secrecy::SecretString;
use service::{
    config::{Environment, ServiceConfig},
    identity::ServiceSigner,
};

pub const NAME: &str = "svc-enrich";

pub struct Config {
    pub service: ServiceConfig,
    pub database_url: SecretString,
    pub database_max_connections: u32,
    pub nats_url: String,
    pub auth_address: String,
    pub signer: ServiceSigner,
    /// How long an event that cannot be handled waits for each further try; not read from the environment.
    pub retry_delays: Vec<Duration>,
}

impl Config {
    pub fn from_environment(environment: &mut Environment) -> Option<Config> {
        let service = ServiceConfig::from_environment(environment, "ENRICH");
        let database_url = environment.secret("ENRICH_DATABASE_URL");
        let database_max_connections = environment.or("ENRICH_DATABASE_MAX_CONNECTIONS", 10);
        let nats_url = environment.required("BOOKMESH_NATS_URL");
        let auth_address = environment.required("BOOKMESH_AUTH_ADDRESS");
        let signer = environment.parsed_file("ENRICH_SERVICE_KEY", |pem| ServiceSigner::new(NAME, pem));
        Some(Config {
            service: service?,
            database_url: database_url?,
            database_max_connections: database_max_connections?,
            nats_url: nats_url?,
            auth_address: auth_address?,
            signer: signer?,
            retry_delays: ConsumerConfig::new("", "").retry_delays,
        })
    }
}
