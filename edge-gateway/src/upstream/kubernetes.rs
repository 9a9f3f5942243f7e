//! The endpoints of a Kubernetes service, from its EndpointSlices. Behind the feature `kubernetes`: a mesh does without.

#[cfg(feature = "kubernetes")]
mod api;
#[cfg(feature = "kubernetes")]
mod lines;
#[cfg(feature = "kubernetes")]
mod slices;
#[cfg(feature = "kubernetes")]
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use service::config::Environment;

use super::address::ServicePort;
use super::endpoints::Endpoints;

/// Whether this build can watch.
pub(crate) const IS_BUILT_IN: bool = cfg!(feature = "kubernetes");
const IN_CLUSTER_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the Kubernetes API is, and as whom it is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KubernetesApi {
    /// Such as `https://10.96.0.1:443`.
    pub url: String,
    /// A folder with the service account's `token` and the API's `ca.crt`. A proxy such as kubectl's needs neither.
    pub account: Option<PathBuf>,
}

impl KubernetesApi {
    /// Reads `EDGE_KUBERNETES_API`, or what Kubernetes tells each pod. The inner nothing: there is none here.
    pub(crate) fn from_environment(environment: &mut Environment) -> Option<Option<Self>> {
        if let Some(url) = environment.optional("EDGE_KUBERNETES_API")? {
            return Some(Some(Self { url, account: None }));
        }
        let host: Option<String> = environment.optional("KUBERNETES_SERVICE_HOST")?;
        let port: u16 = environment.or("KUBERNETES_SERVICE_PORT", 443)?;
        Some(host.map(|host| Self {
            url: format!("https://{}:{port}", bracketed(&host)),
            account: Some(IN_CLUSTER_ACCOUNT.into()),
        }))
    }
}

/// As hosts are written in URLs.
fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// Endpoints that follow those of the service for as long as somebody has them. Needs a running tokio runtime.
#[cfg(feature = "kubernetes")]
pub(super) fn watch(
    api: Option<&KubernetesApi>,
    service_port: &ServicePort,
    zone: Option<&str>,
) -> anyhow::Result<Arc<Endpoints>> {
    let api =
        api.context("there is no Kubernetes API: neither KUBERNETES_SERVICE_HOST nor EDGE_KUBERNETES_API is set")?;
    let endpoints = Arc::new(Endpoints::default());
    let client = api::ApiClient::new(api)?;
    let watch = watch::Watch::new(client, service_port.clone(), zone, Arc::downgrade(&endpoints));
    tokio::spawn(watch.run());
    Ok(endpoints)
}

#[cfg(not(feature = "kubernetes"))]
pub(super) fn watch(
    _: Option<&KubernetesApi>,
    service_port: &ServicePort,
    _: Option<&str>,
) -> anyhow::Result<Arc<Endpoints>> {
    let none: Option<Arc<Endpoints>> = None;
    none.with_context(|| {
        format!(
            "this build cannot watch {}/{}",
            service_port.namespace, service_port.service
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const N: usize>(variables: [(&str, &str); N]) -> Option<KubernetesApi> {
        KubernetesApi::from_environment(&mut Environment::from_pairs(variables)).unwrap()
    }

    #[test]
    fn a_pod_is_told_where_the_api_is_and_the_edge_may_be_told_otherwise() {
        assert_eq!(read([]), None);

        let in_cluster = read([
            ("KUBERNETES_SERVICE_HOST", "fd00::1"),
            ("KUBERNETES_SERVICE_PORT", "6443"),
        ])
        .unwrap();
        assert_eq!(in_cluster.url, "https://[fd00::1]:6443");
        assert!(in_cluster.account.is_some());

        let proxy = read([
            ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
            ("EDGE_KUBERNETES_API", "http://127.0.0.1:8001"),
        ]);
        let (url, account) = ("http://127.0.0.1:8001".to_owned(), None);
        assert_eq!(proxy, Some(KubernetesApi { url, account }));
    }
}
