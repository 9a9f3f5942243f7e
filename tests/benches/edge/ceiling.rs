//! A bare Actix server that answers from memory: what nothing that is built on it can beat.

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};
use bytes::Bytes;

use crate::{children, messages};

/// Serves until it is killed.
pub fn run() -> Result<()> {
    let body = Bytes::from(format!("{:?}", messages::bookmark(0)));
    let server = HttpServer::new(move || {
        let body = body.clone();
        // Actix closes a connection whose request has a body that nobody reads.
        let answer = move |_: Bytes| {
            let answer = HttpResponse::Ok().content_type("application/json").body(body.clone());
            std::future::ready(answer)
        };
        App::new().default_service(web::to(answer))
    });
    let server = server
        .workers(children::cores())
        .bind("127.0.0.1:0")
        .context("listening")?;
    let port = server.addrs().first().context("it listens on one address")?.port();
    children::announce(port);
    actix_web::rt::System::new().block_on(server.run()).context("serving")
}
