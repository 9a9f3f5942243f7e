//! The edge's variables.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use anyhow::Context;
use prost_reflect::DescriptorPool;
use service::config::{Environment, ServiceConfig};
use service::identity::ServiceSigner;

use crate::settings::Settings;
use crate::upstream::{self, Upstream};

pub(crate) const NAME: &str = "edge-gateway";
/// The package that answers with the keys of access tokens.
const KEY_PACKAGE: &str = "bookmesh.auth.v1";

/// Where everything is, and who the edge is.
pub struct Config {
    pub(crate) service: ServiceConfig,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) signer: ServiceSigner,
    pub(crate) workers: NonZeroUsize,
    pub(crate) settings: Settings,
    /// Read again at SIGHUP.
    pub(crate) settings_file: Option<PathBuf>,
    /// Where events tell what has changed.
    pub(crate) nats_url: Option<String>,
}

impl Config {
    /// Reads `EDGE_WORKERS`, `EDGE_SERVICE_KEY`, `EDGE_SETTINGS`, `BOOKMESH_NATS_URL` and the address of each package that has
    /// services.
    pub fn from_environment(environment: &mut Environment) -> Option<Self> {
        let service = ServiceConfig::from_environment(environment, "EDGE");
        let pool =
            DescriptorPool::decode(bookmesh_proto::FILE_DESCRIPTOR_SET).expect("the build has compiled the contract");
        let upstreams = upstream::from_environment(environment, &pool);
        let signer = environment.parsed_file("EDGE_SERVICE_KEY", |pem| ServiceSigner::new(NAME, pem));
        let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let workers = environment.or("EDGE_WORKERS", cores);
        let settings_file = environment.optional("EDGE_SETTINGS");
        let settings = match &settings_file {
            Some(Some(_)) => environment.parsed_file("EDGE_SETTINGS", str::parse),
            Some(None) | None => Some(Settings::default()),
        };
        let nats_url = environment.optional("BOOKMESH_NATS_URL");
        Some(Self {
            service: service?,
            upstreams: upstreams?,
            signer: signer?,
            workers: workers?,
            settings: settings?,
            settings_file: settings_file?,
            nats_url: nats_url?,
        })
    }
}

impl Config {
    /// Where the keys of access tokens are.
    pub(crate) fn key_server(&self) -> anyhow::Result<&str> {
        let upstream = self.upstreams.iter().find(|upstream| upstream.package == KEY_PACKAGE);
        upstream
            .map(|upstream| upstream.address.as_str())
            .context("the contract has no package with keys")
    }
}
