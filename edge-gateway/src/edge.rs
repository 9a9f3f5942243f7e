//! Everything that the workers share.

use std::sync::Arc;

use bytes::Bytes;
use service::identity::Verifier;
use service::metrics::Metrics;
use tokio_util::sync::CancellationToken;
use transcode::{Plans, Routes};

use crate::cache::{self, Cache};
use crate::contract::Contract;
use crate::endpoint::Endpoint;
use crate::observe::Observations;
use crate::openapi;
use crate::settings::{LiveSettings, Settings};
use crate::upstream::{self, Upstream, UpstreamIndex};

/// What an edge is made of.
pub struct EdgeParts<'a> {
    /// The contract: an encoded `FileDescriptorSet`.
    pub descriptor_set: &'a [u8],
    /// Where the services of each package are.
    pub upstreams: Vec<Upstream>,
    /// Checks access tokens.
    pub verifier: Verifier,
    /// What can be changed later.
    pub settings: Settings,
    /// Where its figures are registered.
    pub metrics: &'a Metrics,
    /// Cancelled when the process has been asked to stop.
    pub stopping: CancellationToken,
}

/// The edge, ready to serve.
pub struct Edge {
    pub(crate) plans: Plans,
    pub(crate) routes: Routes,
    /// One for each route, in the same order.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Who serves each route, in the same order.
    pub(crate) served_by: Vec<UpstreamIndex>,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) verifier: Verifier,
    pub(crate) settings: Arc<LiveSettings>,
    pub(crate) observations: Observations,
    pub(crate) cache: Arc<Cache>,
    pub(crate) openapi: Bytes,
    /// Cancelled when the process has been asked to stop: it answers what comes, and is no longer ready.
    pub(crate) stopping: CancellationToken,
}

impl Edge {
    /// Compiles the contract.
    pub fn compile(parts: EdgeParts<'_>) -> anyhow::Result<Self> {
        let EdgeParts {
            descriptor_set,
            upstreams,
            verifier,
            settings,
            metrics,
            stopping,
        } = parts;
        let contract = Contract::compile(descriptor_set)?;
        let openapi = Bytes::from(openapi::document(&contract));
        let observations = Observations::new(metrics);
        let cache = Cache::new(settings.cache, metrics);
        let Contract {
            pool: _,
            plans,
            routes,
            endpoints,
        } = contract;
        let package = |route: &transcode::Route| route.rpc.parent_service().package_name().to_owned();
        let served_by = routes
            .all()
            .iter()
            .map(|route| upstream::find(&upstreams, &package(route)));
        let served_by = served_by.collect::<anyhow::Result<_>>()?;
        Ok(Self {
            plans,
            routes,
            endpoints,
            served_by,
            upstreams,
            verifier,
            settings: Arc::new(LiveSettings::new(settings)),
            observations,
            cache,
            openapi,
            stopping,
        })
    }

    /// Forgets kept answers when events say that they are old. Until it runs, and while it is cut off, nothing that is a
    /// user's own is taken for fresh.
    pub fn follow_events(
        &self,
        nats_url: String,
        shutdown: CancellationToken,
    ) -> impl Future<Output = anyhow::Result<()>> + Send + use<> {
        cache::feed::follow(Arc::clone(&self.cache), nats_url, shutdown)
    }
}
