//! What the edge asks of a Kubernetes API server, over HTTP: lists in pages, watches that resume at a version, bookmarks,
//! versions that are forgotten, and cuts.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;

const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices";

#[derive(Clone, Default)]
pub struct FakeApi(Arc<Mutex<Cluster>>);

#[derive(Default)]
struct Cluster {
    version: u64,
    slices: BTreeMap<String, Value>,
    /// Every change with its version.
    events: Vec<(u64, String)>,
    /// Changes up to here are forgotten.
    compacted: u64,
    watchers: Vec<mpsc::Sender<Bytes>>,
    /// What a request must bring.
    token: Option<String>,
    page_size: Option<usize>,
    lists: usize,
    /// The version that each watch began at.
    watches: Vec<u64>,
}

/// Serves until it is dropped.
pub struct Serving {
    pub address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl FakeApi {
    pub async fn serve(&self, listener: TcpListener) -> Serving {
        let address = listener.local_addr().unwrap();
        let router = self.router();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Serving {
            address,
            _task: AbortOnDropHandle::new(task),
        }
    }

    pub fn router(&self) -> Router {
        Router::new().route(SLICES, get(slices)).with_state(self.clone())
    }

    /// Adds a slice of the service, or changes it.
    pub fn put(&self, name: &str, service: &str, port: u16, endpoints: &Value) {
        let mut cluster = self.0.lock().unwrap();
        cluster.version += 1;
        let slice = json!({
            "metadata": {
                "name": name, "namespace": "shop", "resourceVersion": cluster.version.to_string(),
                "labels": {"kubernetes.io/service-name": service}
            },
            "addressType": "IPv4", "endpoints": endpoints,
            "ports": [{"name": "grpc", "port": port, "protocol": "TCP"}]
        });
        let known = cluster.slices.insert(name.to_owned(), slice.clone());
        cluster.tell(if known.is_some() { "MODIFIED" } else { "ADDED" }, &slice);
    }

    pub fn delete(&self, name: &str) {
        let mut cluster = self.0.lock().unwrap();
        cluster.version += 1;
        let mut slice = cluster.slices.remove(name).unwrap();
        slice["metadata"]["resourceVersion"] = json!(cluster.version.to_string());
        cluster.tell("DELETED", &slice);
    }

    /// Tells watchers of a version at which nothing changed that they watch.
    pub fn bookmark(&self) -> u64 {
        let mut cluster = self.0.lock().unwrap();
        cluster.version += 10;
        let bookmark = json!({"kind": "EndpointSlice", "metadata": {"resourceVersion": cluster.version.to_string()}});
        cluster.send(&event("BOOKMARK", &bookmark));
        cluster.version
    }

    /// Forgets all changes so far: who has not seen them must list.
    pub fn compact(&self) {
        let mut cluster = self.0.lock().unwrap();
        cluster.compacted = cluster.version;
        cluster.events.clear();
    }

    /// Ends all watches, as a restart of the server does.
    pub fn cut(&self) {
        self.0.lock().unwrap().watchers.clear();
    }

    /// Ends all watches in the middle of an event.
    pub fn cut_inside_an_event(&self) {
        let mut cluster = self.0.lock().unwrap();
        for watcher in std::mem::take(&mut cluster.watchers) {
            watcher.try_send(Bytes::from_static(b"{\"type\":\"MODI")).unwrap();
        }
    }

    /// Ends all watches with an event that says that their version is too old.
    pub fn expire(&self) {
        let mut cluster = self.0.lock().unwrap();
        cluster.send(&event(
            "ERROR",
            &json!({"kind": "Status", "code": 410, "reason": "Expired"}),
        ));
        cluster.watchers.clear();
    }

    /// From now on, every watch that begins before this moment ends here with an error.
    pub fn fail_after_now(&self) {
        let mut cluster = self.0.lock().unwrap();
        cluster.version += 1;
        cluster.tell("ERROR", &json!({"kind": "Status", "code": 500, "message": "etcd"}));
        cluster.watchers.clear();
    }

    pub fn require(&self, token: &str) {
        self.0.lock().unwrap().token = Some(token.to_owned());
    }

    pub fn set_page_size(&self, page_size: usize) {
        self.0.lock().unwrap().page_size = Some(page_size);
    }

    pub fn lists(&self) -> usize {
        self.0.lock().unwrap().lists
    }

    pub fn watches(&self) -> Vec<u64> {
        self.0.lock().unwrap().watches.clone()
    }

    /// Whether somebody watches right now.
    pub fn is_watched(&self) -> bool {
        let watchers = &self.0.lock().unwrap().watchers;
        watchers.iter().any(|watcher| !watcher.is_closed())
    }

    pub fn version(&self) -> u64 {
        self.0.lock().unwrap().version
    }
}

impl Cluster {
    fn tell(&mut self, r#type: &str, slice: &Value) {
        let event = event(r#type, slice);
        self.events.push((self.version, event.clone()));
        self.send(&event);
    }

    /// In two chunks, because chunks end anywhere.
    fn send(&mut self, event: &str) {
        let (one, other) = event.split_at(event.len() / 3);
        for chunk in [one, other] {
            let chunk = Bytes::copy_from_slice(chunk.as_bytes());
            self.watchers.retain(|watcher| watcher.try_send(chunk.clone()).is_ok());
        }
    }

    fn selected(&self, service: &str) -> Vec<Value> {
        let is_selected = |slice: &&Value| slice["metadata"]["labels"]["kubernetes.io/service-name"] == service;
        self.slices.values().filter(is_selected).cloned().collect()
    }

    fn list(&mut self, service: &str, next: Option<&String>) -> Response {
        self.lists += 1;
        let all = self.selected(service);
        let start: usize = next.map_or(0, |next| next.parse().unwrap());
        let end = all.len().min(start + self.page_size.unwrap_or(usize::MAX / 2));
        let next = if end < all.len() {
            end.to_string()
        } else {
            String::new()
        };
        let metadata = json!({"resourceVersion": self.version.to_string(), "continue": next});
        axum::Json(json!({"kind": "EndpointSliceList", "metadata": metadata, "items": all[start..end]})).into_response()
    }

    fn watch(&mut self, version: u64) -> Response {
        self.watches.push(version);
        if version < self.compacted {
            return (StatusCode::GONE, "too old resource version").into_response();
        }
        let (sender, receiver) = mpsc::channel(64);
        for (_, event) in self.events.iter().filter(|(changed, _)| *changed > version) {
            sender.try_send(Bytes::from(event.clone())).unwrap();
        }
        self.watchers.push(sender);
        Body::from_stream(ReceiverStream::new(receiver).map(Ok::<_, Infallible>)).into_response()
    }
}

fn event(r#type: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": r#type, "object": object}))
}

async fn slices(
    State(FakeApi(cluster)): State<FakeApi>,
    Path(namespace): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut cluster = cluster.lock().unwrap();
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
    let expected = cluster.token.as_ref().map(|token| format!("Bearer {token}"));
    if namespace != "shop" || (expected.is_some() && authorization != expected.as_deref()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let service = query["labelSelector"]
        .strip_prefix("kubernetes.io/service-name=")
        .unwrap();
    if query.get("watch").is_some_and(|watch| watch == "true") {
        assert_eq!(query["allowWatchBookmarks"], "true");
        cluster.watch(query["resourceVersion"].parse().unwrap())
    } else {
        cluster.list(service, query.get("continue"))
    }
}
