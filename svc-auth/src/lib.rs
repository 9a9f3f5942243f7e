//! Users, their sessions and API tokens, and the keys that sign access tokens.

mod account_error;
mod admission;
mod api_token;
mod attempts;
mod audit;
mod authentication;
mod breached;
mod challenge;
mod config;
mod deletions;
mod device_token;
mod domain;
mod error;
mod grpc;
mod hashing_cost;
mod hot_sessions;
mod letters;
mod mail_token;
mod mailer;
mod mails;
mod make_admin;
mod master_key;
mod oidc;
mod origin;
mod passkey;
mod password;
mod recovery_code;
mod redis_link;
mod refresh_token;
mod registration;
mod role;
mod signing;
mod store;
mod token_uses;
mod totp;
mod verify_audit;

use std::sync::Arc;

use anyhow::Context;
use bookmesh_proto::auth::v1::{
    account_service_server::AccountServiceServer, admin_service_server::AdminServiceServer,
    api_token_service_server::ApiTokenServiceServer, audit_service_server::AuditServiceServer,
    auth_internal_service_server::AuthInternalServiceServer, auth_service_server::AuthServiceServer,
    challenge_service_server::ChallengeServiceServer, deletion_service_server::DeletionServiceServer,
    invitation_service_server::InvitationServiceServer, oidc_service_server::OidcServiceServer,
    passkey_service_server::PasskeyServiceServer, second_factor_service_server::SecondFactorServiceServer,
    session_service_server::SessionServiceServer,
};
use outbox::{ConsumerConfig, Relay, Waker};
use prometheus_client::metrics::counter::Counter;
use secrecy::ExposeSecret;
use service::{
    Routes, Service, clock,
    identity::{EndedSessions, KeyLookup, PublicKey, Verifier},
    metrics::Metrics,
    postgres,
};
use sqlx::{
    Connection, PgPool,
    migrate::{Migration, Migrator},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::{Config, MakeAdminConfig, VerifyAuditConfig};
pub use make_admin::make_admin;
pub use verify_audit::verify_audit;

use crate::{
    attempts::Attempts,
    audit::AuditKey,
    device_token::DeviceKey,
    grpc::{Auth, AuthInternal},
    hot_sessions::HotSessions,
    letters::Letters,
    mailer::{MailCounts, Mailer, Postman},
    mails::Mails,
    passkey::RelyingParty,
    password::Hasher,
    redis_link::RedisLink,
    signing::KeyRing,
    token_uses::token_uses,
};

const NAME: &str = "svc-auth";

/// Added to the version of each migration of a shared crate.
const SHARED_MIGRATIONS: i64 = 1_000_000;

static MIGRATOR: Migrator = sqlx::migrate!();

/// Brings the schema up to date, as the role that owns it.
pub async fn migrate(owner_url: &str) -> anyhow::Result<()> {
    let outbox = moved(&outbox::MIGRATOR);
    postgres::migrate(owner_url, &[&outbox, &MIGRATOR]).await
}

/// Both count from 1, so the shared tables' migrations have other versions here.
fn moved(migrator: &Migrator) -> Migrator {
    let move_one = |migration: &Migration| Migration {
        version: migration.version + SHARED_MIGRATIONS,
        ..migration.clone()
    };
    Migrator::with_migrations(migrator.iter().map(move_one).collect())
}

/// Serves until `shutdown`.
pub async fn run(config: Config, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let service = Service::start(NAME, &config.service, shutdown).await?;
    let database_url = config.database_url.expose_secret();
    let pool = postgres::connect(database_url, config.database_max_connections, service.metrics()).await?;
    let probed = pool.clone();
    service.add_readiness("postgres", move || Box::pin(reach(probed.clone())));
    let keys = KeyRing::load(
        pool.clone(),
        Arc::clone(&config.master_key),
        config.signing_period,
        clock::now(),
    )
    .await?;
    let keys = Arc::new(keys);
    service.spawn("signing keys", Arc::clone(&keys).keep_fresh(service.shutdown()));
    let redis = Arc::new(redis_link(&config, service.metrics())?);
    let mails = start_mails(&service, &config, &pool)?;
    let auth = Arc::new(Auth {
        hasher: Hasher::new(
            Arc::clone(&config.master_key),
            config.hashing_cores,
            config.hashing_cost,
        )?,
        attempts: Attempts::new(Arc::clone(&redis), &config.master_key, service.metrics()),
        devices: DeviceKey::new(&config.master_key),
        hot_sessions: HotSessions::new(redis, pool.clone()),
        relying_party: relying_party(&config)?,
        master_key: Arc::clone(&config.master_key),
        keys: Arc::clone(&keys),
        audit_key: AuditKey::new(&config.master_key),
        token_environment: config.token_environment.clone(),
        mails,
        registering: config.registering,
        email_confirmation: config.email_confirmation,
        oidc: Arc::clone(&config.oidc),
        pool: pool.clone(),
        waker: follow_deletions(&service, &config, &pool).await?,
    });
    let (token_uses, writer) = token_uses(pool.clone());
    service.spawn("uses of api tokens", writer.run(service.shutdown()));
    service.spawn("providers", Arc::clone(&config.oidc).follow_signals(service.shutdown()));
    let internal = AuthInternal { pool, token_uses };

    service
        .serve(listener, verifier(&config, keys), routes(auth, internal))
        .await
}

fn routes(auth: Arc<Auth>, internal: AuthInternal) -> Routes {
    Routes::new(AuthServiceServer::from_arc(Arc::clone(&auth)))
        .add_service(SessionServiceServer::from_arc(Arc::clone(&auth)))
        .add_service(ApiTokenServiceServer::from_arc(Arc::clone(&auth)))
        .add_service(AccountServiceServer::from_arc(Arc::clone(&auth)))
        .add_service(InvitationServiceServer::from_arc(Arc::clone(&auth)))
        .add_service(ChallengeServiceServer::from_arc(Arc::clone(&auth)))
        .add_service(PasskeyServiceServer::from_arc(Arc::clone(&auth)))
        .add_service(SecondFactorServiceServer::from_arc(Arc::clone(&auth)))
        .add_service(OidcServiceServer::from_arc(Arc::clone(&auth)))
        .add_service(AuditServiceServer::from_arc(Arc::clone(&auth)))
        .add_service(AdminServiceServer::from_arc(Arc::clone(&auth)))
        .add_service(DeletionServiceServer::from_arc(auth))
        .add_service(AuthInternalServiceServer::new(internal))
}

/// Events go out, and what services answer comes in; both wait while NATS is away, and nothing else does.
async fn follow_deletions(service: &Service, config: &Config, pool: &PgPool) -> anyhow::Result<Waker> {
    let nats = outbox::connect_nats(&config.nats_url).await?;
    let metrics = outbox::Metrics::register(service.metrics());
    let relay = Relay::new(pool.clone(), nats.clone(), NAME, metrics.clone());
    let waker = relay.waker();
    service.spawn("outbox relay", relay.run(service.shutdown()));
    let answers = deletions::Answers {
        audit_key: AuditKey::new(&config.master_key),
    };
    let consumer = ConsumerConfig::new(deletions::CONSUMER, deletions::ANSWERS);
    let answers = outbox::consume(
        consumer,
        pool.clone(),
        nats,
        Arc::new(answers),
        metrics,
        service.shutdown(),
    );
    service.spawn("answers to deletions", answers);
    let sweep = deletions::sweep(pool.clone(), waker.clone(), service.shutdown());
    service.spawn("deletions", sweep);
    Ok(waker)
}

async fn reach(pool: PgPool) -> anyhow::Result<()> {
    pool.acquire().await?.ping().await.context("reaching postgres")
}

/// That a session has ended is not the verifier's to say here: handlers ask for themselves, so that a log-out whose answer
/// was lost can be repeated.
fn verifier(config: &Config, keys: Arc<KeyRing>) -> Verifier {
    let lookup: KeyLookup = Arc::new(move |id: &str| {
        let (keys, id) = (Arc::clone(&keys), id.to_owned());
        Box::pin(async move {
            let bytes = keys.public_key(&id, clock::now()).await;
            bytes.map(|bytes| PublicKey::from_bytes(&bytes))
        })
    });
    let service_keys = config.service.service_keys.clone();
    Verifier::local(NAME, lookup, service_keys, EndedSessions::default())
}

fn relying_party(config: &Config) -> anyhow::Result<RelyingParty> {
    let (id, origin) = (&config.passkey_rp_id, &config.passkey_origin);
    RelyingParty::new(id, origin, Arc::clone(&config.master_key))
        .context("reading AUTH_PASSKEY_RP_ID and AUTH_PASSKEY_ORIGIN")
}

/// What is put into the queue is sent from now on.
fn start_mails(service: &Service, config: &Config, pool: &PgPool) -> anyhow::Result<Mails> {
    let mails = mails(config);
    let mailer = mailer(config, pool, &mails, service.metrics())?;
    service.spawn("mails", mailer.run(service.shutdown()));
    Ok(mails)
}

fn mails(config: &Config) -> Mails {
    let letters = Letters {
        public_url: config.public_url.clone(),
    };
    Mails::new(
        letters,
        Arc::clone(&config.master_key),
        i64::from(config.mails_per_hour),
    )
}

fn mailer(config: &Config, pool: &PgPool, mails: &Mails, metrics: &Metrics) -> anyhow::Result<Mailer> {
    Ok(Mailer {
        pool: pool.clone(),
        master_key: Arc::clone(&config.master_key),
        postman: Postman::new(&config.mail)?,
        waker: mails.waker(),
        counts: MailCounts::register(metrics),
    })
}

fn redis_link(config: &Config, metrics: &Metrics) -> anyhow::Result<RedisLink> {
    let failures = Counter::default();
    metrics.register(
        "auth_redis_failures",
        "Times that Redis could not be asked, and the answer was found without it",
        failures.clone(),
    );
    RedisLink::new(config.redis_url.expose_secret(), config.redis_timeout, failures)
}
