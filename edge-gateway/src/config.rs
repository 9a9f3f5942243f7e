//! The edge's variables.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use prost_reflect::DescriptorPool;
use redis::ConnectionInfo;
use service::config::{Environment, ServiceConfig};
use service::identity::ServiceSigner;

use crate::routing;
use crate::settings::Settings;
use crate::upstream::{self, Address, Finding, Upstream};

pub(crate) const NAME: &str = "edge-gateway";
/// The package that answers with the keys of access tokens.
const KEY_PACKAGE: &str = "bookmesh.auth.v1";

/// Where everything is, and who the edge is.
pub struct Config {
    pub(crate) service: ServiceConfig,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) finding: Finding,
    /// Where the keys of access tokens are asked for.
    pub(crate) key_server: String,
    pub(crate) signer: ServiceSigner,
    pub(crate) workers: NonZeroUsize,
    pub(crate) settings: Settings,
    /// Through which replicas share their limits.
    pub(crate) redis: Option<ConnectionInfo>,
    /// Read again at SIGHUP.
    pub(crate) settings_file: Option<PathBuf>,
    /// Where events tell what has changed.
    pub(crate) nats_url: Option<String>,
}

impl Config {
    /// Reads `EDGE_WORKERS`, `EDGE_SERVICE_KEY`, `EDGE_SETTINGS`, `EDGE_KEYS_ADDRESS`, `EDGE_ZONE`, `BOOKMESH_REDIS_URL`,
    /// `BOOKMESH_NATS_URL` and the address of each package that has services.
    pub fn from_environment(environment: &mut Environment) -> Option<Self> {
        let service = ServiceConfig::from_environment(environment, "EDGE");
        let pool =
            DescriptorPool::decode(bookmesh_proto::FILE_DESCRIPTOR_SET).expect("the build has compiled the contract");
        let upstreams = upstream::from_environment(environment, &pool);
        let finding = Finding::from_environment(environment);
        check_kubernetes(environment, upstreams.as_deref(), finding.as_ref());
        let key_server = key_server(environment, upstreams.as_deref());
        let signer = environment.parsed_file("EDGE_SERVICE_KEY", |pem| ServiceSigner::new(NAME, pem));
        let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let workers = environment.or("EDGE_WORKERS", cores);
        let settings_file = environment.optional("EDGE_SETTINGS");
        let settings = match &settings_file {
            Some(Some(_)) => environment.parsed_file("EDGE_SETTINGS", str::parse),
            Some(None) | None => Some(Settings::default()),
        };
        let redis = environment.optional("BOOKMESH_REDIS_URL");
        if let (Some(settings), Some(upstreams)) = (&settings, &upstreams)
            && let Err(error) = routing::check(&settings.routing, upstreams)
        {
            environment.wrong::<()>("EDGE_SETTINGS", format!("has a mistake: {error:#}"));
        }
        let nats_url = environment.optional("BOOKMESH_NATS_URL");
        Some(Self {
            service: service?,
            upstreams: upstreams?,
            finding: finding?,
            key_server: key_server?,
            signer: signer?,
            workers: workers?,
            settings: settings?,
            redis: redis?,
            settings_file: settings_file?,
            nats_url: nats_url?,
        })
    }
}

/// Told at once, and not by the first call that finds nobody.
fn check_kubernetes(environment: &mut Environment, upstreams: Option<&[Upstream]>, finding: Option<&Finding>) {
    let is_watched = |upstream: &Upstream| matches!(upstream.parsed_address(), Ok(Address::Kubernetes(_)));
    let has_api = finding.is_none_or(|finding| finding.kubernetes.is_some());
    if !has_api && upstreams.is_some_and(|upstreams| upstreams.iter().any(is_watched)) {
        environment.wrong::<()>("EDGE_KUBERNETES_API", "is missing, as is KUBERNETES_SERVICE_HOST");
    }
}

/// Asked for every few seconds by the process as a whole, so one address is enough: a mesh's, a service's of the cluster, or
/// the first of several.
fn key_server(environment: &mut Environment, upstreams: Option<&[Upstream]>) -> Option<String> {
    if let Some(address) = environment.optional("EDGE_KEYS_ADDRESS")? {
        return Some(address);
    }
    let upstream = upstreams?.iter().find(|upstream| upstream.package == KEY_PACKAGE);
    let address = upstream.and_then(|upstream| upstream.parsed_address().ok());
    match address.as_ref().and_then(Address::first) {
        Some(address) => Some(address.to_owned()),
        None => environment.wrong(
            "EDGE_KEYS_ADDRESS",
            format!("is missing: {KEY_PACKAGE} has no address of its own"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NAMES: [&str; 5] = ["AUTH", "BOOKMARKS", "IMPORT", "TASK", "ENRICH"];

    fn errors(extra: &[(&str, &str)]) -> String {
        let addresses = NAMES.map(|name| {
            (
                format!("BOOKMESH_{name}_ADDRESS"),
                "http://127.0.0.1:1,http://127.0.0.1:2".to_owned(),
            )
        });
        let extra = extra
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut environment = Environment::from_pairs(addresses.into_iter().chain(extra));
        let config = Config::from_environment(&mut environment);
        environment.finish(config.map(|_| ())).unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_in_the_routing_is_one_of_the_environment_and_names_the_rule() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        fs::write(
            &file,
            "[[routing.rules]]\nname = 'canary'\npackage = 'nobody.v1'\nto = 'http://127.0.0.1:3'",
        )
        .unwrap();

        let errors = errors(&[("EDGE_SETTINGS", &file.to_string_lossy())]);

        assert!(
            errors.contains("EDGE_SETTINGS has a mistake") && errors.contains("\"canary\""),
            "{errors}"
        );
    }

    #[test]
    fn several_addresses_are_fine_and_one_that_is_none_is_told() {
        assert!(!errors(&[]).contains("ADDRESS"), "{}", errors(&[]));

        let errors = errors(&[("BOOKMESH_TASK_ADDRESS", "http://127.0.0.1:1,nowhere")]);
        assert!(errors.contains("BOOKMESH_TASK_ADDRESS is no address"), "{errors}");
    }

    #[cfg(not(feature = "kubernetes"))]
    #[test]
    fn without_the_feature_an_address_of_kubernetes_is_a_mistake() {
        let errors = errors(&[("BOOKMESH_TASK_ADDRESS", "kubernetes://shop/books:grpc")]);

        assert!(
            errors.contains("BOOKMESH_TASK_ADDRESS needs an edge that is built with the feature"),
            "{errors}"
        );
    }

    #[cfg(feature = "kubernetes")]
    #[test]
    fn an_address_of_kubernetes_needs_to_know_where_its_api_is_and_keys_an_address_of_their_own() {
        let auth = ("BOOKMESH_AUTH_ADDRESS", "kubernetes://shop/auth:grpc");

        let errors_without = errors(&[auth]);
        let errors_with = errors(&[
            auth,
            ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
            ("EDGE_KEYS_ADDRESS", "http://auth.shop:50051"),
        ]);

        for name in ["EDGE_KUBERNETES_API", "EDGE_KEYS_ADDRESS"] {
            assert!(
                errors_without.contains(name) && !errors_with.contains(name),
                "{errors_without}"
            );
        }
    }
}
