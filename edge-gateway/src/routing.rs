//! Where calls go besides to their package's own address: by header, by share of callers, by prefix of the path; and which of
//! them are sent a second time, only to be compared. The tables `[[routing...]]` of the settings say so.

mod budget;
mod mirror;
mod share;
mod table;

use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde::{Deserialize, Serialize};
use service::metrics::Metrics;

use crate::upstream::{Address, Directory, Upstream};

pub(crate) use mirror::shadow;
pub(crate) use table::{Asked, Table, TargetIndex};

/// The tables `[[routing.rules]]`, `[[routing.mirrors]]` and `[[routing.mounts]]`.
#[derive(Clone, PartialEq, Default, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoutingSettings {
    /// The first that fits a call decides.
    pub rules: Vec<RuleSettings>,
    /// All that fit a call count.
    pub mirrors: Vec<MirrorSettings>,
    /// The one with the longest prefix decides, before any rule.
    pub mounts: Vec<MountSettings>,
}

/// Sends some calls of a package to another address.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSettings {
    /// For errors and logs.
    pub name: String,
    /// Whose calls.
    pub package: String,
    /// Only calls with this header.
    pub header: Option<String>,
    /// Only when the header is exactly this.
    /// Whoever knows it may choose the address, so it is not shown again.
    #[serde(skip_serializing)]
    pub value: Option<String>,
    /// Only for so many of a hundred callers, always the same ones.
    #[serde(default = "all")]
    pub share: f64,
    /// Where they go, written as the address of a package is.
    pub to: String,
}

/// Sends calls without side effects to another address as well, and compares the statuses.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorSettings {
    /// For errors, logs and metrics.
    pub name: String,
    /// Whose calls.
    pub package: String,
    /// So many of a hundred calls.
    #[serde(default = "all")]
    pub share: f64,
    /// Where they go.
    pub to: String,
    /// How many may be under way at once; those above are not sent.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// How many are sent in a second; those above are not.
    #[serde(default = "default_rate")]
    pub rate: u32,
}

/// Sends all calls below a prefix of the path to another address.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MountSettings {
    /// Such as `/eu`; whole segments only.
    pub prefix: String,
    /// Whether the route is looked for in what comes after the prefix.
    #[serde(default)]
    pub strip: bool,
    /// Where they go.
    pub to: String,
}

fn all() -> f64 {
    100.0
}

fn default_concurrency() -> usize {
    8
}

fn default_rate() -> u32 {
    50
}

/// The routing in force.
pub(crate) struct Router {
    table: ArcSwap<Table>,
    packages: Vec<String>,
    directory: Directory,
    mirrored: Mirrored,
}

/// Mirrored calls by what came of them.
pub(crate) type Mirrored = Family<MirroredLabels, Counter>;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub(crate) struct MirroredLabels {
    pub(crate) mirror: Arc<str>,
    pub(crate) outcome: &'static str,
}

impl Router {
    pub(crate) fn new(
        upstreams: &[Upstream],
        directory: Directory,
        settings: &RoutingSettings,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let packages = upstreams.iter().map(|upstream| upstream.package.clone()).collect();
        let router = Self {
            table: ArcSwap::from_pointee(Table::default()),
            packages,
            directory,
            mirrored: Family::default(),
        };
        let help = "Mirrored calls by outcome: match and mismatch compare the statuses";
        metrics.register("edge_mirrored_calls", help, router.mirrored.clone());
        router.table.store(Arc::new(router.compile(settings)?));
        Ok(router)
    }

    /// What the settings say, with the endpoints found; an error names the rule.
    pub(crate) fn compile(&self, settings: &RoutingSettings) -> anyhow::Result<Table> {
        let endpoints = |address: &Address| self.directory.endpoints(address);
        Table::compile(settings, &self.packages, endpoints, &self.mirrored).context("routing")
    }

    pub(crate) fn adopt(&self, table: Table) {
        self.table.store(Arc::new(table));
    }

    /// As it is now; a request keeps the one that it began with.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }
}

/// Whether the settings can be used by an edge that serves these packages.
pub(crate) fn check(settings: &RoutingSettings, upstreams: &[Upstream]) -> anyhow::Result<()> {
    let packages: Vec<String> = upstreams.iter().map(|upstream| upstream.package.clone()).collect();
    let nowhere = |_: &Address| Ok(Arc::default());
    Table::compile(settings, &packages, nowhere, &Mirrored::default())
        .map(|_| ())
        .context("routing")
}
