//! A svc-auth of one test, and what a test says to it.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use bookmesh_proto::auth::v1::{
    CreateSessionRequest, CreateUserRequest, DeleteCurrentSessionRequest, GetCurrentUserRequest, RefreshSessionRequest,
    SessionTokens, User, auth_internal_service_client::AuthInternalServiceClient,
    auth_service_client::AuthServiceClient,
};
use devstack::{TestDatabase, fresh_database, keys, shared};
use service::{
    client::{InternalClient, channel},
    config::Environment,
    identity::ServiceSigner,
    status,
};
use sqlx::{Connection, PgConnection};
use svc_auth::Config;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt;

pub(crate) const EMAIL: &str = "ada@example.com";
pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct TestApp {
    pub auth: AuthServiceClient<Channel>,
    pub database: TestDatabase,
    pub address: String,
    keys: Arc<TempDir>,
    _stop: DropGuard,
}

impl TestApp {
    pub(crate) async fn start() -> TestApp {
        TestApp::start_with(&[]).await
    }

    pub(crate) async fn start_with(variables: &[(&str, &str)]) -> TestApp {
        let database = fresh_database("auth").await;
        svc_auth::migrate(&database.owner_url).await.unwrap();
        TestApp::start_on(database, Arc::new(new_keys()), variables).await
    }

    /// One replica of several that share a database and keys.
    pub(crate) async fn start_on(database: TestDatabase, keys: Arc<TempDir>, variables: &[(&str, &str)]) -> TestApp {
        let mut pairs = environment(&database, keys.path(), &shared().await.redis_url());
        pairs.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let mut environment = Environment::from_pairs(pairs);
        let config = Config::from_environment(&mut environment);
        let config = environment.finish(config).unwrap();
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        tokio::spawn(svc_auth::run(config, listener, shutdown.clone()));
        TestApp {
            auth: AuthServiceClient::new(channel(&address).unwrap()),
            database,
            address,
            keys,
            _stop: shutdown.drop_guard(),
        }
    }

    /// Another replica, with other settings, on the same database and keys.
    pub(crate) async fn beside(&self, variables: &[(&str, &str)]) -> TestApp {
        TestApp::start_on(self.database.clone(), Arc::clone(&self.keys), variables).await
    }

    pub(crate) async fn register(&self, email: &str, password: &str) -> Result<User, Status> {
        let request = CreateUserRequest {
            email: email.to_owned(),
            password: password.to_owned(),
            display_name: "Ada".to_owned(),
            invitation_token: String::new(),
        };
        Ok(self.auth.clone().create_user(request).await?.into_inner())
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Result<SessionTokens, Status> {
        self.log_in_from("", email, password, "").await
    }

    /// As through the edge, by a client at `address`, which may be empty, with a device token or without.
    pub(crate) async fn log_in_from(
        &self,
        address: &str,
        email: &str,
        password: &str,
        device_token: &str,
    ) -> Result<SessionTokens, Status> {
        let mut request = Request::new(CreateSessionRequest {
            email: email.to_owned(),
            password: password.to_owned(),
            device_token: device_token.to_owned(),
        });
        if !address.is_empty() {
            request
                .metadata_mut()
                .insert("x-client-address", address.parse().unwrap());
        }
        Ok(self.auth.clone().create_session(request).await?.into_inner())
    }

    /// A registered user's first session.
    pub(crate) async fn ada(&self) -> SessionTokens {
        self.register(EMAIL, PASSWORD).await.unwrap();
        self.log_in(EMAIL, PASSWORD).await.unwrap()
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<SessionTokens, Status> {
        let request = RefreshSessionRequest {
            refresh_token: refresh_token.to_owned(),
        };
        Ok(self.auth.clone().refresh_session(request).await?.into_inner())
    }

    pub(crate) async fn me(&self, access_token: &str) -> Result<User, Status> {
        let request = with_token(GetCurrentUserRequest {}, access_token);
        Ok(self.auth.clone().get_current_user(request).await?.into_inner())
    }

    pub(crate) async fn log_out(&self, access_token: &str) -> Result<(), Status> {
        let request = with_token(DeleteCurrentSessionRequest {}, access_token);
        self.auth.clone().delete_current_session(request).await?;
        Ok(())
    }

    pub(crate) fn keys(&self) -> &Path {
        self.keys.path()
    }

    /// A client in another service's name.
    pub(crate) fn internal(&self, service: &str) -> (AuthInternalServiceClient<Channel>, InternalClient) {
        let pem = fs::read_to_string(keys::private_key(self.keys.path(), service)).unwrap();
        let signer = ServiceSigner::new(service, &pem).unwrap();
        let internal = InternalClient::new(channel(&self.address).unwrap(), signer, "svc-auth");
        (AuthInternalServiceClient::new(internal.channel()), internal)
    }

    /// Past row-level security, to arrange and to look.
    pub(crate) async fn admin(&self) -> PgConnection {
        let mut connection = PgConnection::connect(&self.database.admin_url).await.unwrap();
        run(&mut connection, "SET search_path = auth").await;
        connection
    }

    pub(crate) async fn run_as_admin(&self, statement: &'static str) {
        run(&mut self.admin().await, statement).await;
    }
}

/// Everything that svc-auth reads, on the servers of the tests.
pub(crate) fn environment(database: &TestDatabase, keys: &Path, redis_url: &str) -> Vec<(String, String)> {
    let path = |path: std::path::PathBuf| path.display().to_string();
    [
        ("AUTH_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ("AUTH_DATABASE_URL", database.app_url.clone()),
        // The tests take all cores; what depends on how fast Redis is sets its own.
        ("AUTH_REDIS_TIMEOUT_MS", "10000".to_owned()),
        ("AUTH_MAIL_FOLDER", path(keys.join("mail"))),
        ("AUTH_PUBLIC_URL", "http://127.0.0.1:8080".to_owned()),
        ("AUTH_MASTER_KEY", path(keys::master_key(keys))),
        // Nobody is there: a durable consumer is one for all who share a server. Whoever is about events brings their own.
        ("BOOKMESH_NATS_URL", "nats://127.0.0.1:1".to_owned()),
        ("BOOKMESH_REDIS_URL", redis_url.to_owned()),
        ("BOOKMESH_SERVICE_KEYS", path(keys::public_keys(keys))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

pub(crate) fn new_keys() -> TempDir {
    let folder = TempDir::new().unwrap();
    keys::generate(folder.path(), &["svc-bookmarks", "svc-auth"]).unwrap();
    folder
}

pub(crate) fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let authorization = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", authorization);
    request
}

pub(crate) fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    let reason = status::reason(&status).unwrap_or_default();
    (status.code(), reason)
}

/// The fields that a status complains about, with their rules.
pub(crate) fn violations(status: &Status) -> Vec<String> {
    let details = status.get_details_bad_request().unwrap();
    let mut violations: Vec<String> = details
        .field_violations
        .into_iter()
        .map(|violation| format!("{} {}", violation.field, violation.description))
        .collect();
    violations.sort();
    violations
}

async fn run(connection: &mut PgConnection, statement: &'static str) {
    sqlx::raw_sql(statement).execute(connection).await.unwrap();
}
