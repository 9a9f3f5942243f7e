//! Everything that the workers share.

use std::sync::Arc;
use std::time::Instant;

use redis::ConnectionInfo;
use service::identity::Verifier;
use service::metrics::Metrics;
use tokio_util::sync::CancellationToken;
use transcode::{Found, Plans, Routes};

use crate::cache::{self, Cache};
use crate::connection;
use crate::contract::Contract;
use crate::endpoint::Endpoint;
use crate::limit::Limiter;
use crate::observe::Observations;
use crate::own::Pages;
use crate::resilience::Figures;
use crate::routing::{Router, Table};
use crate::settings::{LiveSettings, Settings};
use crate::upstream::{self, Directory, Endpoints, Finding, Upstream, UpstreamIndex};

/// What an edge is made of.
pub struct EdgeParts<'a> {
    /// The contract: an encoded `FileDescriptorSet`.
    pub descriptor_set: &'a [u8],
    /// Where the services of each package are.
    pub upstreams: Vec<Upstream>,
    /// Where endpoints are looked for.
    pub finding: Finding,
    /// Checks access tokens.
    pub verifier: Verifier,
    /// What can be changed later.
    pub settings: Settings,
    /// Through which replicas share their limits; without it each has its own.
    pub redis: Option<ConnectionInfo>,
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
    pub(crate) figures: Figures,
    pub(crate) upstreams: Vec<Upstream>,
    /// What is known of each upstream's endpoints, in the same order.
    pub(crate) endpoints_of: Vec<Arc<Endpoints>>,
    pub(crate) verifier: Verifier,
    pub(crate) settings: LiveSettings,
    pub(crate) router: Router,
    pub(crate) limiter: Limiter,
    pub(crate) observations: Observations,
    pub(crate) pages: Pages,
    pub(crate) cache: Arc<Cache>,
    pub(crate) places: connection::Places,
    pub(crate) connection_figures: connection::Figures,
    /// Cancelled when the process has been asked to stop: it answers what comes, and is no longer ready.
    pub(crate) stopping: CancellationToken,
}

impl Edge {
    /// Compiles the contract.
    pub fn compile(parts: EdgeParts<'_>) -> anyhow::Result<Self> {
        let EdgeParts {
            descriptor_set,
            upstreams,
            finding,
            verifier,
            settings,
            redis,
            metrics,
            stopping,
        } = parts;
        let contract = Contract::compile(descriptor_set)?;
        let pages = Pages::of(descriptor_set);
        let cache = Cache::new(settings.cache, metrics);
        let Contract {
            pool: _,
            plans,
            routes,
            endpoints,
        } = contract;
        let observations = Observations::new(metrics, &routes, &endpoints);
        let served_by = served_by(&routes, &upstreams)?;
        let packages = upstreams.iter().map(|upstream| upstream.package.clone());
        let figures = Figures::new(metrics, packages.collect());
        let directory = Directory::new(finding);
        let endpoints_of = upstreams
            .iter()
            .map(|upstream| directory.endpoints(&upstream.parsed_address()?))
            .collect::<anyhow::Result<_>>()?;
        let router = Router::new(&upstreams, directory, &settings.routing, metrics)?;
        Ok(Self {
            plans,
            routes,
            endpoints,
            served_by,
            figures,
            upstreams,
            endpoints_of,
            verifier,
            settings: LiveSettings::new(settings),
            router,
            limiter: Limiter::new(redis, metrics, Instant::now())?,
            observations,
            pages,
            cache,
            places: connection::Places::default(),
            connection_figures: connection::Figures::new(metrics),
            stopping,
        })
    }

    /// Takes other settings over, whole or not at all. Requests that have begun keep the routing that they began with.
    pub fn change_settings(&self, settings: Settings) -> anyhow::Result<()> {
        let table = self.router.compile(&settings.routing)?;
        self.router.adopt(table);
        self.settings.replace(settings);
        Ok(())
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

    /// The package that serves a route.
    pub(crate) fn package_of(&self, route: usize) -> &str {
        &self.upstreams[self.served_by[route].0].package
    }

    /// The route of a request: what comes after a stripped prefix is the path that counts.
    pub(crate) fn find<'p>(&self, table: &Table, http_method: &str, path: &'p str) -> Found<'_, 'p> {
        self.routes.find(http_method, table.route_path(path))
    }
}

/// Who serves each route.
fn served_by(routes: &Routes, upstreams: &[Upstream]) -> anyhow::Result<Vec<UpstreamIndex>> {
    let find = |route: &transcode::Route| upstream::find(upstreams, route.rpc.parent_service().package_name());
    routes.all().iter().map(find).collect()
}
