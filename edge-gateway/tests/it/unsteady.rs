//! A service that fails, waits and disappears as the tests tell it, and what else may listen at its address.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Request, Status, Streaming};

use crate::app::{App, Setup, compile, serve_on};
use crate::server::{Answers, AnyService, Named, one};

#[derive(Clone, PartialEq, Message)]
struct Thing {
    #[prost(string, tag = "1")]
    name: String,
}

/// What the service does with a call.
pub enum Step {
    Fail(Status),
    Late(Duration),
    Never,
}

/// The service: what it is to do with the next calls, and what it has seen.
pub struct Unsteady {
    /// In the order of the calls; without a step the call is answered.
    steps: Mutex<VecDeque<Step>>,
    /// The RPC of each call, and its grpc-timeout in milliseconds.
    calls: Mutex<Vec<(String, Option<f64>)>>,
    /// A call without a step takes a permit of it for as long as it is worked on.
    pub gate: Semaphore,
    pub cancelled: AtomicUsize,
}

impl Default for Unsteady {
    fn default() -> Self {
        Self {
            steps: Mutex::default(),
            calls: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            cancelled: AtomicUsize::new(0),
        }
    }
}

impl Unsteady {
    /// One that answers nothing before the test adds permits to its gate.
    pub fn gated() -> Arc<Self> {
        Arc::new(Self {
            gate: Semaphore::new(0),
            ..Self::default()
        })
    }

    pub fn next(&self, steps: impl IntoIterator<Item = Step>) {
        self.steps.lock().unwrap().extend(steps);
    }

    pub fn fail_next(&self, calls: usize, status: &Status) {
        self.next((0..calls).map(|_| Step::Fail(status.clone())));
    }

    pub fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// The time that each call was given, in milliseconds.
    pub fn timeouts(&self) -> Vec<Option<f64>> {
        self.calls.lock().unwrap().iter().map(|(_, timeout)| *timeout).collect()
    }

    async fn call(self: Arc<Self>, rpc: String, request: Request<Streaming<Bytes>>) -> Result<Answers, Status> {
        let timeout = request
            .metadata()
            .get("grpc-timeout")
            .and_then(|value| milliseconds(value.to_str().ok()?));
        self.calls.lock().unwrap().push((rpc, timeout));
        let mut messages = request.into_inner();
        while messages.message().await?.is_some() {}
        let mut ended = CountsWhenDropped(Some(&self.cancelled));
        let step = self.steps.lock().unwrap().pop_front();
        let answer = match step {
            Some(Step::Fail(status)) => Err(status),
            Some(Step::Late(delay)) => {
                tokio::time::sleep(delay).await;
                Ok(())
            }
            Some(Step::Never) => std::future::pending().await,
            None => {
                let _permit = self.gate.acquire().await.unwrap();
                Ok(())
            }
        };
        ended.0 = None;
        answer.map(|()| one(&thing()))
    }
}

fn thing() -> Thing {
    Thing { name: "it".to_owned() }
}

struct CountsWhenDropped<'c>(Option<&'c AtomicUsize>);

impl Drop for CountsWhenDropped<'_> {
    fn drop(&mut self) {
        if let Some(counter) = self.0 {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// `299875u` is 299.875.
fn milliseconds(timeout: &str) -> Option<f64> {
    let (number, unit) = timeout.split_at(timeout.len() - 1);
    let scale = match unit {
        "S" => 1e3,
        "m" => 1.0,
        "u" => 1e-3,
        "n" => 1e-6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

#[derive(Clone)]
struct NamedUnsteady(Named<false>);

impl NamedService for NamedUnsteady {
    const NAME: &'static str = "unsteady.v1.UnsteadyService";
}

impl tower::Service<http::Request<Body>> for NamedUnsteady {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}

/// An edge with the service behind it.
pub async fn start(service: &Arc<Unsteady>, settings: &str) -> App {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut app = start_before(address, settings).await;
    app.service_stop = start_service(service, listener).await;
    app
}

/// The service on a port that is known already; it ends with the token.
pub async fn start_service(service: &Arc<Unsteady>, listener: TcpListener) -> CancellationToken {
    let service = Arc::clone(service);
    let any = AnyService::new(move |rpc, request| Arc::clone(&service).call(rpc, request));
    let stop = CancellationToken::new();
    let routes = tonic::service::Routes::new(NamedUnsteady(Named(any)));
    serve_on(listener, routes, stop.clone()).await;
    stop
}

/// An edge before whatever listens at the address.
pub async fn start_before(address: SocketAddr, settings: &str) -> App {
    let setup = Setup {
        package: "unsteady.v1",
        descriptor_set: compile(Path::new("unsteady.proto")),
        settings: settings.parse().unwrap(),
        ..Setup::library(format!("http://{address}"))
    };
    App::start_at(setup).await
}

/// What a listener does with the first connections, in their order, once a call has come on them.
#[derive(Clone, Copy)]
pub enum Fate {
    /// Closes the connection in the middle of the call.
    Close,
    /// Closes the connection once so many calls are on it.
    CloseUnder(usize),
    /// Says by GOAWAY that it has seen no call.
    GoAway,
    /// Resets the stream with REFUSED_STREAM, and answers what comes then on the same connection.
    Refuse,
    /// Ends its first call with details that are no base64.
    Babble,
    /// Never says anything.
    Silence,
}

/// Listens as a service does that breaks. Connections after the last fate are answered as they should be. Counts calls.
pub async fn listen(fates: &[Fate]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let mut fates: VecDeque<Fate> = fates.iter().copied().collect();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(meet(connection, fates.pop_front(), Arc::clone(&counter)));
        }
    });
    (address, calls)
}

async fn meet(mut connection: TcpStream, fate: Option<Fate>, calls: Arc<AtomicUsize>) {
    match fate {
        Some(Fate::Close) => {
            read_calls(&mut connection, 1).await;
            calls.fetch_add(1, Ordering::SeqCst);
        }
        Some(Fate::CloseUnder(count)) => {
            read_calls(&mut connection, count).await;
            calls.fetch_add(count, Ordering::SeqCst);
        }
        Some(Fate::GoAway) => {
            read_calls(&mut connection, 1).await;
            calls.fetch_add(1, Ordering::SeqCst);
            // Length 8, type GOAWAY, no flags, stream 0; last stream 0, NO_ERROR.
            let go_away = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            connection.write_all(&go_away).await.unwrap();
            // The peer closes.
            while matches!(connection.read(&mut [0; 1024]).await, Ok(1..)) {}
        }
        Some(Fate::Silence) => while matches!(connection.read(&mut [0; 1024]).await, Ok(1..)) {},
        Some(Fate::Refuse) => answer(connection, Some(refuse), &calls).await,
        Some(Fate::Babble) => answer(connection, Some(babble), &calls).await,
        None => answer(connection, None, &calls).await,
    }
}

/// Reads up to the end of the last call's HEADERS frame, after saying SETTINGS.
async fn read_calls(connection: &mut TcpStream, count: usize) {
    const HEADERS: u8 = 1;
    connection.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    connection.read_exact(&mut [0; 24]).await.unwrap();
    let mut seen = 0;
    while seen < count {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        connection.read_exact(&mut vec![0; length as usize]).await.unwrap();
        seen += usize::from(head[3] == HEADERS);
    }
}

type Respond = h2::server::SendResponse<Bytes>;

fn refuse(mut respond: Respond) {
    respond.send_reset(h2::Reason::REFUSED_STREAM);
}

fn babble(mut respond: Respond) {
    let head = http::Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", "5")
        .header("grpc-status-details-bin", "no, this is nothing");
    respond.send_response(head.body(()).unwrap(), true).unwrap();
}

async fn answer(connection: TcpStream, mut first: Option<fn(Respond)>, calls: &AtomicUsize) {
    let mut connection = h2::server::handshake(connection).await.unwrap();
    while let Some(Ok((_request, mut respond))) = connection.accept().await {
        calls.fetch_add(1, Ordering::SeqCst);
        if let Some(first) = first.take() {
            first(respond);
            continue;
        }
        let head = http::Response::builder()
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let mut stream = respond.send_response(head, false).unwrap();
        let message = thing().encode_to_vec();
        let framed = [&[0, 0, 0, 0, message.len() as u8], message.as_slice()].concat();
        stream.send_data(framed.into(), false).unwrap();
        let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        stream.send_trailers(trailers).unwrap();
    }
}
