//! One HTTP/2 connection to an endpoint. It is made at the first call, and again whenever it has ended.
//!
//! tonic's channel hands each request from the caller's task to one of its own, to another of hyper's, and back. Here the
//! caller's task writes the request and reads the answer itself: a sixth less CPU for each call of the edge (ADR 15).

mod answer;
mod details;
mod unary;
mod upload;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared};
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tonic::body::Body;
use tonic::{Code, ConnectError, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::Service;

use crate::problem::EDGE_DOMAIN;

pub(crate) use answer::Answer;
pub(crate) use upload::File;
use upload::Upload;

/// A connection that is silent for so long is asked whether anybody is there, also while it is idle.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const RETRY_AFTER: Duration = Duration::from_secs(1);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// A call that was given up after so long without an answer makes its connection suspect: it is asked at once.
const SUSPECT_AFTER: Duration = Duration::from_millis(500);
/// Any service that lives answers sooner: its handlers have no part in it.
const SUSPECT_TIMEOUT: Duration = Duration::from_secs(1);
/// RFC 9113 advises servers to take no fewer at once.
const FIRST_STREAMS: usize = 100;
/// A status with all its details is smaller.
const MAX_HEADER_BYTES: u32 = 64 << 10;

/// Our services take 1,024 at once. What is more would wait in a queue that h2 does not bound, and keeps after its callers left.
const MAX_CALLS: usize = 1_000;

/// What a service may send before it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    stream_bytes: u32,
    connection_bytes: u32,
}

impl Windows {
    /// The edge takes the answers of calls in as they come. As much as hyper allows.
    pub(crate) const CALLS: Self = Self {
        stream_bytes: 2 << 20,
        connection_bytes: 5 << 20,
    };
    /// A stream is read no faster than its caller reads. Each may stand still with its window full, and the connection has room for
    /// the windows of all, so that none waits for another's caller.
    pub(crate) const STREAMS: Self = Self {
        stream_bytes: STREAM_WINDOW_BYTES,
        connection_bytes: STREAM_WINDOW_BYTES * MAX_CALLS as u32,
    };
}

/// Many events, and for a thousand callers who do not read 64 MB.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Clones share the connection. It lives on the runtime of the worker that made it.
#[derive(Clone)]
pub(crate) struct Connection(Rc<Inner>);

struct Inner {
    authority: Authority,
    connect_timeout: Duration,
    windows: Windows,
    state: RefCell<State>,
    /// Whether a call has told of the end of the connection that was opened last.
    is_end_told: Cell<bool>,
    /// Calls under way.
    calls: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum State {
    Closed,
    /// Whoever calls meanwhile waits for the same attempt.
    Opening(Shared<LocalBoxFuture<'static, Opened>>),
    Open(Open),
}

#[derive(Clone)]
struct Open {
    sender: SendRequest<Bytes>,
    /// Told by calls that got no answer.
    suspicion: Rc<Notify>,
}

type Opened = Result<Open, Rc<str>>;

impl Connection {
    /// To an address such as `http://127.0.0.1:50051`.
    pub(crate) fn new(address: &str, connect_timeout: Duration, windows: Windows) -> anyhow::Result<Self> {
        let uri: Uri = address
            .parse()
            .with_context(|| format!("reading the address {address}"))?;
        ensure!(uri.scheme() == Some(&Scheme::HTTP), "{address} is no http address");
        let authority = uri.authority().cloned();
        Ok(Self(Rc::new(Inner {
            authority: authority.with_context(|| format!("{address} names no host"))?,
            connect_timeout,
            windows,
            state: RefCell::new(State::Closed),
            is_end_told: Cell::new(false),
            calls: Arc::default(),
        })))
    }

    /// Tells that the connection has ended under a call. Whether that is news: all calls on it tell so, in the same turn.
    pub(super) fn tell_end(&self) -> bool {
        !self.0.is_end_told.replace(true)
    }
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Answer>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Response<Answer>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = Rc::clone(&self.0);
        async move { inner.exchange(request).await }.boxed_local()
    }
}

impl Inner {
    async fn exchange(self: Rc<Self>, request: Request<Body>) -> Result<Response<Answer>, Error> {
        let (head, body) = request.into_parts();
        let is_file = head.extensions.get::<File>().is_some();
        let path = head.uri.path_and_query().cloned();
        let head = self.head(path.unwrap_or_else(|| PathAndQuery::from_static("/")), head.headers)?;
        let place = Place::take(&self.calls)?;
        let Open { mut sender, suspicion } = self.ready().await?;
        let (answer, stream) = sender.send_request(head, false)?;
        let unanswered = Unanswered::begin(suspicion);
        let upload = Upload::start(body, stream, is_file).await?;
        let answer = answer.await;
        unanswered.end();
        let mut answer = answer?;
        details::drop_unreadable(answer.headers_mut());
        Ok(answer.map(|body| Answer::new(body, upload, place)))
    }

    fn head(&self, path: PathAndQuery, headers: HeaderMap) -> Result<Request<()>, Error> {
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.authority.clone());
        uri.path_and_query = Some(path);
        let mut head = Request::new(());
        *head.method_mut() = Method::POST;
        *head.uri_mut() = Uri::from_parts(uri)?;
        *head.version_mut() = Version::HTTP_2;
        *head.headers_mut() = headers;
        Ok(head)
    }

    /// What a call can be sent with at once. A connection that has ended while nobody used it is made anew.
    async fn ready(self: &Rc<Self>) -> Result<Open, Error> {
        let state = self.state.borrow().clone();
        if let State::Open(open) = state {
            match open.ready().await {
                Ok(open) => return Ok(open),
                Err(_) => self.forget_closed(),
            }
        }
        let open = self
            .open()
            .await
            .map_err(|error| ConnectError(error.to_string().into()))?;
        Ok(open.ready().await?)
    }

    /// Somebody else may have noticed earlier, and be connecting already.
    fn forget_closed(&self) {
        let mut state = self.state.borrow_mut();
        if let State::Open(open) = &*state
            && open.clone().ready().now_or_never().is_some_and(|ready| ready.is_err())
        {
            *state = State::Closed;
        }
    }

    async fn open(self: &Rc<Self>) -> Opened {
        let opening = match &mut *self.state.borrow_mut() {
            State::Open(open) => return Ok(open.clone()),
            State::Opening(opening) => opening.clone(),
            closed @ State::Closed => {
                // In a task of its own, so that it goes on when the caller who needed it first hangs up.
                let task = actix_web::rt::spawn(connect(NotOpened(Rc::clone(self))));
                let opening = task.map(|opened| opened.unwrap_or_else(|error| Err(error.to_string().into())));
                let opening = opening.boxed_local().shared();
                *closed = State::Opening(opening.clone());
                opening
            }
        };
        opening.await
    }
}

/// A connection that is being made. Dropped before that is done, also by a panic, it lets the next call try again.
struct NotOpened(Rc<Inner>);

impl NotOpened {
    fn opened(self, open: Open) {
        *self.0.state.borrow_mut() = State::Open(open);
        self.0.is_end_told.set(false);
    }
}

impl Drop for NotOpened {
    fn drop(&mut self) {
        let mut state = self.0.state.borrow_mut();
        if let State::Opening(_) = *state {
            *state = State::Closed;
        }
    }
}

async fn connect(not_opened: NotOpened) -> Opened {
    let Inner {
        authority,
        connect_timeout,
        windows,
        ..
    } = &*not_opened.0;
    match timeout(*connect_timeout, handshake(authority, *windows)).await {
        Ok(Ok(open)) => {
            not_opened.opened(open.clone());
            Ok(open)
        }
        Ok(Err(error)) => Err(format!("{error:#}").into()),
        Err(_) => Err("no connection in time".into()),
    }
}

impl Open {
    async fn ready(self) -> Result<Self, h2::Error> {
        let sender = self.sender.ready().await?;
        Ok(Self { sender, ..self })
    }
}

/// A call without its answer's head: dropped so, after a while, it makes the connection suspect.
struct Unanswered {
    since: Instant,
    is_over: bool,
    suspicion: Rc<Notify>,
}

impl Unanswered {
    fn begin(suspicion: Rc<Notify>) -> Self {
        Self {
            since: Instant::now(),
            is_over: false,
            suspicion,
        }
    }

    fn end(mut self) {
        self.is_over = true;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if !self.is_over && self.since.elapsed() >= SUSPECT_AFTER {
            self.suspicion.notify_one();
        }
    }
}

/// A place among the calls of a connection; dropping it makes room for another.
pub(super) struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(calls: &Arc<AtomicUsize>) -> Result<Self, Status> {
        if calls.load(Ordering::Relaxed) >= MAX_CALLS {
            let mut details = ErrorDetails::with_error_info("TOO_MANY_CALLS", EDGE_DOMAIN, []);
            details.set_retry_info(Some(RETRY_AFTER));
            let message = "too many calls of this service are under way";
            return Err(Status::with_error_details(Code::ResourceExhausted, message, details));
        }
        calls.fetch_add(1, Ordering::Relaxed);
        Ok(Self(Arc::clone(calls)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn handshake(authority: &Authority, windows: Windows) -> anyhow::Result<Open> {
    let port = authority.port_u16().unwrap_or(80);
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await.context("connecting")?;
    stream.set_nodelay(true).context("setting up the connection")?;
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        // Until the service has said how many it takes, so few are sent that none is refused.
        .initial_max_send_streams(FIRST_STREAMS)
        .initial_window_size(windows.stream_bytes)
        .initial_connection_window_size(windows.connection_bytes)
        .max_header_list_size(MAX_HEADER_BYTES);
    let (sender, mut connection) = builder.handshake(stream).await.context("greeting the service")?;
    let ping_pong = connection.ping_pong();
    let suspicion = Rc::new(Notify::new());
    let open = Open {
        sender,
        suspicion: Rc::clone(&suspicion),
    };
    actix_web::rt::spawn(async move {
        tokio::select! {
            // Whoever uses it is told by its own stream.
            _ = connection => {}
            () = until_silent(ping_pong, &suspicion) => tracing::warn!("a service does not answer on its connection, it is given up"),
        }
    });
    Ok(open)
}

async fn until_silent(ping_pong: Option<PingPong>, suspicion: &Notify) {
    let Some(mut ping_pong) = ping_pong else {
        return std::future::pending().await;
    };
    loop {
        let suspected = timeout(KEEPALIVE_INTERVAL, suspicion.notified()).await.is_ok();
        let patience = if suspected { SUSPECT_TIMEOUT } else { KEEPALIVE_TIMEOUT };
        match timeout(patience, ping_pong.ping(Ping::opaque())).await {
            // However many calls are given up, it is not asked more often: some take that for an attack.
            Ok(Ok(_)) => sleep(SUSPECT_TIMEOUT).await,
            // The connection ends by itself, and tells why.
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_ends_an_attempt_to_connect_the_next_call_makes_another() {
        let connection = Connection::new("http://127.0.0.1:1", Duration::from_secs(1), Windows::CALLS).unwrap();
        let never = std::future::pending().boxed_local().shared();
        *connection.0.state.borrow_mut() = State::Opening(never);

        drop(NotOpened(Rc::clone(&connection.0)));

        assert!(matches!(*connection.0.state.borrow(), State::Closed));
    }
}
