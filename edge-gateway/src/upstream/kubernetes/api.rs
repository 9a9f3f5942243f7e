//! Requests to the Kubernetes API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Certificate, Client, ClientBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use super::KubernetesApi;
use super::slices::EndpointSlice;
use crate::upstream::address::ServicePort;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const LIST_TIMEOUT: Duration = Duration::from_secs(20);
/// The API ends a watch after so long, and it is begun again: a server that died without a word is noticed by then.
const WATCH_SECONDS: u64 = 240;
const WATCH_TIMEOUT: Duration = Duration::from_secs(WATCH_SECONDS + 20);
/// Finds out about a dead node long before that.
const KEEPALIVE: Duration = Duration::from_secs(10);
const PAGE_SIZE: u32 = 500;

pub(super) struct ApiClient {
    http: Client,
    url: Url,
    token_file: Option<PathBuf>,
}

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) metadata: PageMetadata,
    pub(super) items: Option<Vec<EndpointSlice>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageMetadata {
    pub(super) resource_version: String,
    pub(super) r#continue: Option<String>,
}

/// What the API answers to a version or a page that it no longer knows.
#[derive(Debug)]
pub(super) enum Answer<T> {
    Found(T),
    Gone,
}

impl ApiClient {
    pub(super) fn new(api: &KubernetesApi) -> anyhow::Result<Self> {
        let builder = Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(KEEPALIVE);
        let builder = match &api.account {
            Some(account) => trust_only(builder, &account.join("ca.crt"))?,
            None => builder,
        };
        Ok(Self {
            http: builder.build().context("making a client of the kubernetes API")?,
            url: api
                .url
                .parse()
                .with_context(|| format!("reading the address {}", api.url))?,
            token_file: api.account.as_ref().map(|account| account.join("token")),
        })
    }

    pub(super) async fn list(&self, of: &ServicePort, next: Option<&str>) -> anyhow::Result<Answer<Page>> {
        let mut url = self.slices(of);
        url.query_pairs_mut().append_pair("limit", &PAGE_SIZE.to_string());
        if let Some(next) = next {
            url.query_pairs_mut().append_pair("continue", next);
        }
        match self.get(url, LIST_TIMEOUT).await? {
            Answer::Found(response) => Ok(Answer::Found(response.json().await.context("reading a list")?)),
            Answer::Gone => Ok(Answer::Gone),
        }
    }

    /// What happens after `version`, as chunks of lines.
    pub(super) async fn watch(&self, of: &ServicePort, version: &str) -> anyhow::Result<Answer<Response>> {
        let mut url = self.slices(of);
        url.query_pairs_mut()
            .append_pair("watch", "true")
            .append_pair("allowWatchBookmarks", "true")
            .append_pair("timeoutSeconds", &WATCH_SECONDS.to_string())
            .append_pair("resourceVersion", version);
        self.get(url, WATCH_TIMEOUT).await
    }

    fn slices(&self, of: &ServicePort) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        let namespace = &of.namespace;
        url.set_path(&format!(
            "{base}/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        ));
        let selector = format!("kubernetes.io/service-name={}", of.service);
        url.query_pairs_mut().append_pair("labelSelector", &selector);
        url
    }

    async fn get(&self, url: Url, timeout: Duration) -> anyhow::Result<Answer<Response>> {
        let mut request = self.http.get(url).timeout(timeout);
        if let Some(file) = &self.token_file {
            // Read each time: Kubernetes writes a new one before the old one expires.
            let token = tokio::fs::read_to_string(file).await;
            request = request.bearer_auth(token.with_context(|| format!("reading {}", file.display()))?.trim());
        }
        let response = request.send().await.context("asking the kubernetes API")?;
        let status = response.status();
        if status == StatusCode::GONE {
            return Ok(Answer::Gone);
        }
        ensure!(status.is_success(), "the kubernetes API answers {status}");
        Ok(Answer::Found(response))
    }
}

fn trust_only(builder: ClientBuilder, file: &Path) -> anyhow::Result<ClientBuilder> {
    let pem = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let certificates = Certificate::from_pem_bundle(&pem).with_context(|| format!("reading {}", file.display()))?;
    Ok(builder.tls_certs_only(certificates))
}
