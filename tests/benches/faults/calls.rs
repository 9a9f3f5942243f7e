//! What callers ask: one call for each class that the edge tells apart.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use serde_json::{Value, json};
use system_tests::load;
use uuid::Uuid;

use crate::{edge::Setting, messages, traffic::Kind};

pub const READ: &str = "read";
pub const KEPT: &str = "kept read";
pub const SEARCH: &str = "search";
pub const CREATE: &str = "create";

/// The calls of a user through the edge at an address.
pub struct Calls {
    address: String,
    token: String,
}

impl Calls {
    pub fn new(setting: &Setting, address: String) -> Result<Self> {
        let token = setting.token()?;
        Ok(Self { address, token })
    }

    /// A read that only the service can answer: each is of another thing, and nothing is kept.
    pub fn read(&self) -> Kind {
        let one = self.request("GET", &format!("/v1/bookmarks/{}", messages::ID), &Value::Null);
        let one = String::from_utf8_lossy(&one).replacen("\r\n", "\r\ncache-control: no-store\r\n", 1);
        self.kind(READ, move |number| {
            let id = Uuid::from_u128(number as u128).to_string();
            Bytes::from(one.replacen(messages::ID, &id, 1))
        })
    }

    /// The read of something that the edge has kept.
    pub fn kept_read(&self) -> Kind {
        let one = self.request("GET", &format!("/v1/bookmarks/{}", messages::ID), &Value::Null);
        self.kind(KEPT, move |_| one.clone())
    }

    pub fn search(&self) -> Kind {
        let search = self.request("GET", "/v1/bookmarks?query=rust&pageSize=20", &Value::Null);
        self.kind(SEARCH, move |_| search.clone())
    }

    pub fn create(&self) -> Kind {
        let bookmark =
            json!({"url": "https://example.com/", "title": "A link that someone saves", "tags": ["reading"]});
        let create = self.request("POST", "/v1/bookmarks", &bookmark);
        self.kind(CREATE, move |_| create.clone())
    }

    fn kind(&self, name: &'static str, request: impl Fn(usize) -> Bytes + Send + Sync + 'static) -> Kind {
        let request = Arc::new(request);
        Kind { name, request }
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Bytes {
        load::request(method, &self.address, path, &self.token, body)
    }
}
