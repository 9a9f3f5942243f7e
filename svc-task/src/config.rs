//! What svc-task reads from its environment.

use secrecy::SecretString;
use service::{
    config::{Environment, ServiceConfig},
    identity::ServiceSigner,
};

pub struct Config {
    pub service: ServiceConfig,
    pub signer: ServiceSigner,
    pub auth_address: String,
    pub database_url: SecretString,
    pub database_max_connections: u32,
    pub nats_url: String,
}

impl Config {
    pub fn from_environment(environment: &mut Environment) -> Option<Config> {
        let service = ServiceConfig::from_environment(environment, "TASK");
        let signer = environment.parsed_file("TASK_SERVICE_KEY", |pem| ServiceSigner::new("svc-task", pem));
        let auth_address = environment.required("BOOKMESH_AUTH_ADDRESS");
        let database_url = environment.secret("TASK_DATABASE_URL");
        let database_max_connections = environment.or("TASK_DATABASE_MAX_CONNECTIONS", 10);
        let nats_url = environment.required("BOOKMESH_NATS_URL");
        Some(Config {
            service: service?,
            signer: signer?,
            auth_address: auth_address?,
            database_url: database_url?,
            database_max_connections: database_max_connections?,
            nats_url: nats_url?,
        })
    }
}
