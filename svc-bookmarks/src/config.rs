//! What svc-bookmarks reads from its environment.

use std::path::PathBuf;

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
    pub index_folder: PathBuf,
}

impl Config {
    pub fn from_environment(environment: &mut Environment) -> Option<Config> {
        let service = ServiceConfig::from_environment(environment, "BOOKMARKS");
        let signer = environment.parsed_file("BOOKMARKS_SERVICE_KEY", |pem| {
            ServiceSigner::new(crate::NAME, pem).map_err(|error| format!("{error:#}"))
        });
        let auth_address = environment.required("BOOKMESH_AUTH_ADDRESS");
        let database_url = environment.secret("BOOKMARKS_DATABASE_URL");
        let database_max_connections = environment.or("BOOKMARKS_DATABASE_MAX_CONNECTIONS", 10);
        let nats_url = environment.required("BOOKMESH_NATS_URL");
        let index_folder = environment.required("BOOKMARKS_INDEX_FOLDER");
        Some(Config {
            service: service?,
            signer: signer?,
            auth_address: auth_address?,
            database_url: database_url?,
            database_max_connections: database_max_connections?,
            nats_url: nats_url?,
            index_folder: index_folder?,
        })
    }
}
