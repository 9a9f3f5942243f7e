//! Requests to providers: no proxy, no redirects, a deadline, and no more bytes than such answers have.

use std::{pin::Pin, time::Duration};

use anyhow::{Context, ensure};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::{Client, Request, Response, StatusCode, header::CONTENT_TYPE, redirect::Policy};
use serde::de::DeserializeOwned;
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Of a whole exchange, to the last byte.
const TIMEOUT: Duration = Duration::from_secs(4);
const BODY_MAX_BYTES: usize = 256 * 1024;

#[derive(Clone)]
pub(super) struct Http(Client);

/// Why there is no answer. Says nothing of what was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("the request failed")]
    Failed(#[from] reqwest::Error),
    #[error("the answer is larger than {BODY_MAX_BYTES} bytes")]
    TooLarge,
}

impl Http {
    /// Trusts the certificate authorities of the system; on Linux `SSL_CERT_FILE` names others.
    pub(super) fn new() -> anyhow::Result<Http> {
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build();
        Ok(Http(client.context("making a client for providers")?))
    }

    pub(super) async fn get_json<T: DeserializeOwned>(&self, url: &Url) -> anyhow::Result<T> {
        let request = self.0.get(url.clone()).header("accept", "application/json");
        let response = request.send().await.map_err(reqwest::Error::without_url);
        let response = response.with_context(|| format!("asking {url}"))?;
        let status = response.status();
        ensure!(status == StatusCode::OK, "{url} answers {status}");
        ensure!(is_json(&response), "{url} does not answer JSON");
        let body = read(response).await.with_context(|| format!("reading {url}"))?;
        serde_json::from_slice(&body).with_context(|| format!("parsing {url}"))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = Request::try_from(request)?;
        let response = self.0.execute(request).await.map_err(reqwest::Error::without_url)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = HttpResponse::new(read(response).await?);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

/// As the crate openidconnect wants it.
impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > BODY_MAX_BYTES {
            return Err(HttpError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// `application/json`, or what is written in it: `application/jwk-set+json`.
fn is_json(response: &Response) -> bool {
    let header = response.headers().get(CONTENT_TYPE);
    let kind = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("application/") && kind.ends_with("json")
}
