//! What svc-import takes from the environment.

use secrecy::SecretString;
use service::{
    config::{Environment, ServiceConfig},
    identity::ServiceSigner,
};
use url::Url;

pub const NAME: &str = "svc-import";

/// The settings of one process.
#[derive(Clone)]
pub struct Config {
    pub service: ServiceConfig,
    pub database_url: SecretString,
    pub database_max_connections: u32,
    pub nats_url: String,
    pub object_store_url: Url,
    pub signer: ServiceSigner,
    pub auth_address: String,
    pub bookmarks_address: String,
    pub task_address: String,
    pub limits: Limits,
}

/// How much is taken, and how much is done at a time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest file.
    pub max_bytes: u64,
    /// The most bookmarks in a file.
    pub max_rows: usize,
    /// How many imports of one owner may be unfinished.
    pub max_unfinished: i64,
    /// How many imports this process works on at a time.
    pub workers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 1024 * 1024 * 1024,
            max_rows: 250_000,
            max_unfinished: 10,
            workers: 2,
        }
    }
}

impl Config {
    /// Notes every bad variable; none if there is one.
    pub fn from_environment(environment: &mut Environment) -> Option<Self> {
        let service = ServiceConfig::from_environment(environment, "IMPORT");
        let database_url = environment.secret("IMPORT_DATABASE_URL");
        let database_max_connections = environment.or("IMPORT_DATABASE_MAX_CONNECTIONS", 10);
        let nats_url = environment.required("BOOKMESH_NATS_URL");
        let object_store_url = environment.required("BOOKMESH_OBJECT_STORE_URL");
        let signer = environment.parsed_file("IMPORT_SERVICE_KEY", |pem| ServiceSigner::new(NAME, pem));
        let auth_address = environment.required("BOOKMESH_AUTH_ADDRESS");
        let bookmarks_address = environment.required("BOOKMESH_BOOKMARKS_ADDRESS");
        let task_address = environment.required("BOOKMESH_TASK_ADDRESS");
        let limits = Limits::from_environment(environment);
        Some(Self {
            service: service?,
            database_url: database_url?,
            database_max_connections: database_max_connections?,
            nats_url: nats_url?,
            object_store_url: object_store_url?,
            signer: signer?,
            auth_address: auth_address?,
            bookmarks_address: bookmarks_address?,
            task_address: task_address?,
            limits: limits?,
        })
    }
}

impl Limits {
    fn from_environment(environment: &mut Environment) -> Option<Self> {
        let default = Self::default();
        let max_bytes = environment.or("IMPORT_MAX_BYTES", default.max_bytes);
        let max_rows = environment.or("IMPORT_MAX_ROWS", default.max_rows);
        let max_unfinished = environment.or("IMPORT_MAX_UNFINISHED", default.max_unfinished);
        let workers = environment.or("IMPORT_WORKERS", default.workers);
        Some(Self {
            max_bytes: max_bytes?,
            max_rows: max_rows?,
            max_unfinished: max_unfinished?,
            workers: workers?,
        })
    }
}
