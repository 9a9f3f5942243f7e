//! Connections of callers: how many there may be, and how long one may do nothing of use.

mod activity;
mod figures;
mod places;
mod settings;
mod timed;

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::App;
use actix_web::dev::AppConfig;
use actix_web::web;
use anyhow::Context;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use crate::edge::Edge;
use crate::forward;
use crate::worker::Worker;
use timed::Timed;

pub(crate) use activity::Answering;
pub(crate) use figures::Figures;
pub(crate) use places::Places;
pub use settings::ConnectionSettings;

/// For a caller to read the end of an answer that came before it had sent everything.
const LINGER: Duration = Duration::from_secs(1);
/// With the farewell before it less than the 25 that the process itself gets for stopping.
const DRAIN_SECONDS: u64 = 22;

/// A server of HTTP/1.1 on this listener; each of its connections is one of the `guests`.
pub(crate) fn serve(
    edge: Arc<Edge>,
    listener: std::net::TcpListener,
    workers: NonZeroUsize,
    guests: TaskTracker,
) -> anyhow::Result<Server> {
    let maximum = edge.settings.load().connections.maximum;
    let address = listener.local_addr().context("asking where the listener is")?;
    let builder = Server::build()
        .workers(workers.get())
        .max_concurrent_connections(maximum.div_ceil(workers.get()).max(1))
        .shutdown_timeout(DRAIN_SECONDS)
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let factory = move || connections(&edge, workers, address, stopping.clone(), guests.clone());
    let builder = builder.listen("edge", listener, factory).context("listening")?;
    Ok(builder.run())
}

/// What one worker does with its connections. Actix's own server has no place for [`Timed`], so its parts are put together
/// here as it does itself.
fn connections(
    edge: &Arc<Edge>,
    workers: NonZeroUsize,
    address: SocketAddr,
    stopping: GracefulShutdownSignal,
    guests: TaskTracker,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<> {
    let settings = edge.settings.load().connections;
    let worker = Worker::new(Arc::clone(edge), workers).expect("the addresses were read before");
    let app = App::new()
        .app_data(Rc::new(worker))
        .default_service(web::to(forward::handle));
    let app = app.into_factory().map_err(|error| error.error_response());
    let http = HttpService::build()
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .keep_alive(settings.keep_alive())
        .client_request_timeout(settings.head())
        .client_disconnect_timeout(LINGER)
        // A caller that hangs up is gone: what it asked for is cancelled.
        .h1_allow_half_closed(false)
        .local_addr(address)
        .on_connect_ext(move |connection: &Timed, extensions| {
            extensions.insert(connection.activity());
            extensions.insert(guests.token());
        })
        .h1(map_config(app, |()| AppConfig::default()));
    let edge = Arc::clone(edge);
    fn_service(move |stream: TcpStream| ready(accept(&edge, stream))).and_then(http)
}

fn accept(edge: &Arc<Edge>, stream: TcpStream) -> Result<(Timed, Option<SocketAddr>), DispatchError> {
    let peer = stream.peer_addr().ok();
    let settings = edge.settings.load().connections;
    match Places::take(edge, peer.map(|peer| peer.ip()), settings.maximum_per_address) {
        Some(place) => Ok((Timed::new(stream, Arc::clone(edge), place), peer)),
        None => Err(DispatchError::Io(io::Error::other(
            "too many connections of one address",
        ))),
    }
}
