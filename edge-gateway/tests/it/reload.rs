//! Settings that change under load, in a process of its own.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bookmesh_proto::auth::v1::{Jwk, Jwks};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tower::ServiceExt;

use crate::app;
use crate::process::{Process, wait_until};
use crate::server::{AnyService, Named, one};

const CALLERS: usize = 4;
const PATH: &str = "/.well-known/jwks.json";
/// Under which no limit is reached.
const GENEROUS: &str = "[limits.flood]\nquota = 60_000_000\nburst = 1_000_000\n";

fn settings(quota: u32, rest: &str) -> String {
    format!("{GENEROUS}[limits.address.read]\nquota = {quota}\nburst = 1_000_000\n{rest}")
}

/// Answers every RPC with some keys, and counts.
struct Keys {
    url: String,
    calls: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Keys {
    async fn start() -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let service = AnyService::new(move |rpc, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                match rpc.as_str() {
                    "GetJwks" => Ok(one(&Jwks {
                        keys: vec![Jwk::default()],
                    })),
                    other => Err(Status::unimplemented(other)),
                }
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let service = Named::<false>(service)
            .map_request(|request: http::Request<axum::body::Body>| request.map(tonic::body::Body::new));
        let router = axum::Router::new().fallback_service(service);
        app::serve_on(listener, router.into(), stop.clone()).await;
        Self { url, calls, stop }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Callers that go on until they are told to stop; each answers how often it was not answered well.
struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<(usize, usize)>>,
}

impl Load {
    fn begin(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let callers = (0..CALLERS).map(|_| {
            let (stop, url) = (Arc::clone(&stop), format!("{url}{PATH}"));
            tokio::spawn(async move {
                let client = reqwest::Client::builder().no_proxy().build().unwrap();
                let (mut calls, mut failed) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.get(&url).header("cache-control", "no-cache").send().await;
                    calls += 1;
                    failed += usize::from(!answer.is_ok_and(|answer| answer.status() == 200));
                }
                (calls, failed)
            })
        });
        Self {
            callers: callers.collect(),
            stop,
        }
    }

    async fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = (0, 0);
        for caller in self.callers {
            let (calls, failed) = caller.await.unwrap();
            sum = (sum.0 + calls, sum.1 + failed);
        }
        sum
    }
}

async fn policy(url: &str) -> String {
    let answer = reqwest::get(format!("{url}{PATH}")).await.unwrap();
    answer.headers()["ratelimit-policy"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn settings_change_at_sighup_and_no_request_is_lost() {
    let (first, second) = (Keys::start().await, Keys::start().await);
    let process = Process::start(&settings(1_000_000, ""), &[("BOOKMESH_AUTH_ADDRESS", &first.url)]).await;
    let load = Load::begin(&process.url);
    let change = async |text: &str, message: &str| {
        let before = process.lines(message);
        fs::write(process.settings_file(), text).unwrap();
        process.signal("HUP");
        wait_until(message, || (process.lines(message) > before).then_some(())).await;
    };
    assert_eq!(policy(&process.url).await, "\"address-read\";q=1000000;w=60");

    change(&settings(2_000_000, ""), "settings are read again").await;
    assert_eq!(policy(&process.url).await, "\"address-read\";q=2000000;w=60");

    for broken in [
        "[limits",
        "[limitz]",
        "[[routing.rules]]\nname = 'x'\npackage = 'nobody.v1'\nto = 'http://a:1'",
    ] {
        change(broken, "settings could not be read, the old ones stay").await;
        assert_eq!(policy(&process.url).await, "\"address-read\";q=2000000;w=60");
    }

    let rule = format!(
        "[[routing.rules]]\nname = 'move'\npackage = 'bookmesh.auth.v1'\nto = '{}'",
        second.url
    );
    change(&settings(2_000_000, &rule), "settings are read again").await;
    let moved = || (second.calls.load(Ordering::Relaxed) > 20).then_some(());
    wait_until("calls go where the rule says", moved).await;
    change(&settings(2_000_000, ""), "settings are read again").await;

    let (calls, failed) = load.end().await;
    assert!(calls > 40, "{calls}");
    assert_eq!(failed, 0, "of {calls}");
    assert!(process.stop().await.success());
}
