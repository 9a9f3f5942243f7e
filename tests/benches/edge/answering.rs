//! The service behind the edge: answers every RPC from memory, and writes down what its callers need to be believed.
//! `make bench-edge` and `make test-faults` have it in common.

use std::{collections::HashMap, convert::Infallible, fs, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bookmesh_proto::auth::v1::Jwks;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, combinators::WithTrailers};
use hyper::{
    HeaderMap, Request, Response, body::Incoming, header::HeaderValue, server::conn::http2, service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use serde_json::json;
use service::testing::TestIssuer;
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};
use uuid::Uuid;

use crate::{children, messages};

/// gRPC's compression flag and length, before each message.
const FRAME_HEAD_BYTES: usize = 5;
/// No run lasts longer.
const RUN_SECONDS: i64 = 4 * 3600;
const MAX_STREAMS: u32 = 1024;
const SERVICES: [&str; 6] = [
    "edge-gateway",
    "svc-auth",
    "svc-bookmarks",
    "svc-import",
    "svc-task",
    "svc-enrich",
];

/// Frames by RPC path; an RPC that is not there gets an empty message.
type Answers = HashMap<&'static str, Bytes>;
/// How much it can do: so many calls at once, each for so long.
#[derive(Clone, Copy)]
pub struct Pace {
    pub at_once: usize,
    pub work: Duration,
}

impl Pace {
    pub const FREE: Self = Self {
        at_once: Semaphore::MAX_PERMITS,
        work: Duration::ZERO,
    };
}

type Body = WithTrailers<Full<Bytes>, std::future::Ready<Option<Result<HeaderMap, Infallible>>>>;

/// Serves on `port`, or on a free one for 0, until it is killed.
pub fn run(folder: &Path, port: u16, pace: Pace) -> Result<()> {
    let issuer = TestIssuer::new();
    write_credentials(&issuer, folder)?;
    let answers = Arc::new(answers(&issuer));
    children::runtime()?.block_on(async {
        let room = Arc::new(Semaphore::new(pace.at_once));
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        children::announce(listener.local_addr()?.port());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (answers, room) = (Arc::clone(&answers), Arc::clone(&room));
            tokio::spawn(async move {
                let answer = service_fn(move |request| {
                    let (answers, room) = (Arc::clone(&answers), Arc::clone(&room));
                    async move {
                        work(&room, pace.work).await;
                        answer(answers, request).await
                    }
                });
                let mut server = http2::Builder::new(TokioExecutor::new());
                server.max_concurrent_streams(MAX_STREAMS);
                // A caller that goes away is no news.
                let _ = server.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    })
}

async fn work(room: &Semaphore, time: Duration) {
    if !time.is_zero() {
        // It is never closed.
        let _place = room.acquire().await;
        sleep(time).await;
    }
}

async fn answer(answers: Arc<Answers>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let message = answers.get(head.uri.path()).cloned().unwrap_or_else(|| frame(&[]));
    // Read to its end, as a real service has to.
    let _ = body.collect().await;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(message).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", content_type);
    Ok(response)
}

fn answers(issuer: &TestIssuer) -> Answers {
    const BOOKMARKS: [&str; 2] = [
        "/bookmesh.bookmarks.v1.BookmarkService/GetBookmark",
        "/bookmesh.bookmarks.v1.BookmarkService/CreateBookmark",
    ];
    let bookmark = frame(&messages::bookmark(0).encode_to_vec());
    let page = frame(&messages::page().encode_to_vec());
    let mut answers: Answers = BOOKMARKS.into_iter().map(|rpc| (rpc, bookmark.clone())).collect();
    answers.insert("/bookmesh.bookmarks.v1.BookmarkService/ListBookmarks", page);
    answers.insert(
        "/bookmesh.auth.v1.AuthService/GetJwks",
        frame(&issuer.jwks().encode_to_vec()),
    );
    // HealthCheckResponse { status: SERVING }.
    answers.insert("/grpc.health.v1.Health/Check", frame(&[8, 1]));
    answers
}

fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(FRAME_HEAD_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("our messages are small"));
    frame.put_slice(message);
    frame.freeze()
}

fn write_credentials(issuer: &TestIssuer, folder: &Path) -> Result<()> {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    };
    write("service.pem", issuer.private_key_pem())?;
    write("services.jwks.json", key_set(&issuer.jwks(), &SERVICES))?;
    write(
        "access.jwks.json",
        key_set(&issuer.jwks(), &[service::testing::TEST_KEY_ID]),
    )?;
    let token = issuer.access_token_for(Uuid::now_v7(), Uuid::now_v7(), RUN_SECONDS);
    write("token", token)
}

/// The one key under each of the names.
fn key_set(jwks: &Jwks, names: &[&str]) -> String {
    let x = jwks.keys.first().map(|key| key.x.as_str()).unwrap_or_default();
    let key = |name: &&str| json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x, "kid": name});
    json!({"keys": names.iter().map(key).collect::<Vec<_>>()}).to_string()
}
