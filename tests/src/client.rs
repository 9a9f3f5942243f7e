//! A small client of the public REST API, as someone outside would write one.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// The password of everyone whom [`Client::register`] registers.
pub const PASSWORD: &str = "a long enough passphrase";
const PAGE_SIZE: u32 = 200;

/// What the edge answered: the body as JSON, or null when it had none.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// A header's text; empty when it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// A string of the body; empty when it is missing.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }
}

/// A caller of the edge, with or without an access token.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    access_token: Option<String>,
}

impl Client {
    /// A caller without a token. `base` is the edge's address, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn anonymous(base: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            base: base.to_owned(),
            access_token: None,
        }
    }

    /// Registers a user and logs in; answers a caller with that user's access token.
    ///
    /// # Errors
    /// When the edge cannot be reached or refuses.
    pub async fn register(base: &str, email: &str) -> Result<Self> {
        let anonymous = Self::anonymous(base);
        let user = json!({"email": email, "password": PASSWORD, "displayName": "Test"});
        let registered = anonymous.post("/v1/users", &user).await?;
        ensure!(
            registered.status == 201,
            "register answered {}: {}",
            registered.status,
            registered.body
        );
        anonymous.log_in(email).await
    }

    /// Logs in a registered user; answers a caller with a fresh access token.
    ///
    /// # Errors
    /// When the edge cannot be reached or refuses.
    pub async fn log_in(&self, email: &str) -> Result<Self> {
        let session = self
            .post("/v1/sessions", &json!({"email": email, "password": PASSWORD}))
            .await?;
        ensure!(
            session.status == 200,
            "log-in answered {}: {}",
            session.status,
            session.body
        );
        Ok(self.with_token(session.text("accessToken")))
    }

    /// Makes an API token of a day; answers what the edge did.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn make_api_token(&self, name: &str, scopes: &[&str]) -> Result<Answer> {
        let tomorrow = service::clock::now() + time::Duration::DAY;
        let expire_time = tomorrow.format(&time::format_description::well_known::Rfc3339)?;
        let request = json!({"name": name, "scopes": scopes, "expireTime": expire_time});
        self.post("/v1/apiTokens", &request).await
    }

    /// The same caller with another access token.
    #[must_use]
    pub fn with_token(&self, access_token: &str) -> Self {
        Self {
            access_token: Some(access_token.to_owned()),
            ..self.clone()
        }
    }

    /// The access token.
    #[must_use]
    pub fn token(&self) -> &str {
        self.access_token.as_deref().unwrap_or_default()
    }

    /// `GET path`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    /// `DELETE path`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `PATCH path` with a JSON body.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    /// Uploads a file of bookmarks; answers the import.
    ///
    /// # Errors
    /// When there is no answer, or another one than 202.
    pub async fn upload(&self, file: impl Into<reqwest::Body>) -> Result<Value> {
        let request = self
            .request(Method::POST, "/v1/imports")
            .header("content-type", "text/html")
            .body(file);
        let answer = self.send(request).await?;
        ensure!(
            answer.status == 202,
            "upload answered {}: {}",
            answer.status,
            answer.body
        );
        Ok(answer.body)
    }

    /// Asks for an import until `done` says so; errors on the way (a process may be down) are asked again.
    ///
    /// # Errors
    /// When that takes longer than `limit`.
    pub async fn wait_for_import(&self, id: &str, limit: Duration, done: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + limit;
        let mut last = Value::Null;
        while Instant::now() < deadline {
            if let Ok(answer) = self.get(&format!("/v1/imports/{id}")).await {
                last = answer.body;
                if answer.status == 200 && done(&last) {
                    return Ok(last);
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("import {id} is not there after {limit:?}: {last}")
    }

    /// Every bookmark that a list or search answers, by URL, page after page.
    ///
    /// # Errors
    /// When a page is refused or a URL comes twice.
    pub async fn bookmarks(&self, parameters: &str) -> Result<BTreeMap<String, Value>> {
        let mut found = BTreeMap::new();
        let mut page_token = String::new();
        loop {
            let path = format!("/v1/bookmarks?pageSize={PAGE_SIZE}&pageToken={page_token}&{parameters}");
            let page = self.get(&path).await?;
            ensure!(page.status == 200, "{path} answered {}: {}", page.status, page.body);
            for bookmark in page.body["bookmarks"].as_array().context("a page has `bookmarks`")? {
                let url = bookmark["url"].as_str().context("a bookmark has a `url`")?.to_owned();
                ensure!(
                    found.insert(url, bookmark.clone()).is_none(),
                    "listed twice: {bookmark}"
                );
            }
            page.text("nextPageToken").clone_into(&mut page_token);
            if page_token.is_empty() {
                return Ok(found);
            }
        }
    }

    /// How many bookmarks a list or search has in all.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn count(&self, parameters: &str) -> Result<u64> {
        let page = self.get(&format!("/v1/bookmarks?pageSize=1&{parameters}")).await?;
        ensure!(page.status == 200, "list answered {}: {}", page.status, page.body);
        Ok(page.body["totalSize"].as_u64().unwrap_or_default())
    }

    /// A request to `path` with the caller's token, to be completed and given to [`Self::send`].
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.access_token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body })
    }
}
