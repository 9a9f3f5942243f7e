//! Calls with many answers, as server-sent events or as lines of JSON.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::web::Payload;
use bytes::Bytes;
use futures::Stream;
use tonic::client::Grpc;
use tonic::{Code, Status, Streaming};

use crate::call::{Call, split_raw_body};
use crate::codec::RawCodec;
use crate::connection::Answering;
use crate::endpoint::Output;
use crate::exchange;
use crate::problem::{EndedCall, Occurrence, Problem};
use crate::upstream::Ticket;
use crate::worker::Worker;
use crate::{resilience, respond};

/// Keeps proxies from closing a quiet stream, and finds out that the caller is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// text/event-stream, as browsers read it.
    Events,
    /// One JSON value a line.
    Lines,
    /// The bytes of google.api.HttpBody.
    Raw,
}

pub(crate) async fn answer(mut call: Call<'_>, payload: Payload) -> Result<HttpResponse, Problem> {
    let message = call.read_message(payload).await?;
    let path = &call.endpoint.rpc_path;
    let opened = resilience::send(&mut call, message.into(), async |connection, grpc_request| {
        let mut client = Grpc::new(connection);
        let answers = client.server_streaming(grpc_request, path.clone(), RawCodec).await?;
        let mut messages = answers.into_inner();
        let first = messages.message().await?;
        Ok((messages, first))
    });
    let ((messages, first), ticket) = opened.await?.map_err(|status| call.problem(&status))?;
    let format = format(&call);
    let content_type = match (format, &first) {
        (Format::Events, _) => "text/event-stream".to_owned(),
        (Format::Lines, _) => "application/x-ndjson".to_owned(),
        (Format::Raw, Some(first)) => split_raw_body(first).0.to_owned(),
        (Format::Raw, None) => "application/octet-stream".to_owned(),
    };
    Ok(HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // nginx would hold events back.
        .insert_header((HeaderName::from_static("x-accel-buffering"), "no"))
        .streaming(Answers::new(&call, format, (messages, ticket), first).into_stream()))
}

fn format(call: &Call<'_>) -> Format {
    if call.endpoint.output == Output::RawStream {
        return Format::Raw;
    }
    let accept = exchange::header(call.request.headers(), header::ACCEPT).unwrap_or_default();
    let place = |content_type| accept.find(content_type);
    match (place("application/x-ndjson"), place("text/event-stream")) {
        (Some(_), None) => Format::Lines,
        (Some(lines), Some(events)) if lines < events => Format::Lines,
        _ => Format::Events,
    }
}

/// The answers that are still to come. Dropping it, which Actix does when the caller is gone, cancels the call.
struct Answers {
    worker: Rc<Worker>,
    route: usize,
    format: Format,
    messages: Streaming<Bytes>,
    /// However quiet it is, its connection is in use.
    _answering: Answering,
    /// The stream counts as under way at its endpoint until it is over.
    _ticket: Ticket,
    first: Option<Bytes>,
    is_over: bool,
    path: String,
    request_id: String,
    trace_id: String,
}

impl Answers {
    fn new(
        call: &Call<'_>,
        format: Format,
        (messages, ticket): (Streaming<Bytes>, Ticket),
        first: Option<Bytes>,
    ) -> Self {
        Self {
            worker: Rc::clone(call.worker),
            route: call.found.index,
            format,
            messages,
            _answering: Answering::begin(call.request),
            _ticket: ticket,
            is_over: first.is_none(),
            first,
            path: call.request.uri().path().to_owned(),
            request_id: call.exchange.request_id.clone(),
            trace_id: call.exchange.trace_id().to_owned(),
        }
    }

    fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        futures::stream::unfold(self, |mut answers| async move {
            let chunk = answers.next_chunk().await?;
            Some((chunk, answers))
        })
    }

    async fn next_chunk(&mut self) -> Option<io::Result<Bytes>> {
        if self.is_over {
            return None;
        }
        if let Some(first) = self.first.take() {
            return Some(self.render(&first));
        }
        let stopping = self.worker.edge.stopping.clone();
        loop {
            tokio::select! {
                message = self.messages.message() => return match message {
                    Ok(Some(message)) => Some(self.render(&message)),
                    Ok(None) => None,
                    Err(status) => Some(self.end(&self.problem(&status))),
                },
                () = stopping.cancelled() => return Some(self.end(&stopping_problem())),
                () = tokio::time::sleep(HEARTBEAT) => if self.format == Format::Events {
                    return Some(Ok(Bytes::from_static(b": still here\n\n")));
                },
            }
        }
    }

    fn render(&mut self, message: &Bytes) -> io::Result<Bytes> {
        if self.format == Format::Raw {
            return Ok(split_raw_body(message).1);
        }
        match respond::json(&self.worker.edge, self.route, message) {
            Ok(json) => Ok(self.frame("data: ", &json)),
            Err(problem) => self.end(&problem),
        }
    }

    /// What went wrong, as the last chunk. Raw bytes have no room for it: the connection ends before they do, or they would look
    /// whole.
    fn end(&mut self, problem: &Problem) -> io::Result<Bytes> {
        self.is_over = true;
        let occurrence = Occurrence {
            path: &self.path,
            request_id: &self.request_id,
            trace_id: &self.trace_id,
        };
        let json = problem.to_json(occurrence);
        match self.format {
            Format::Events => Ok(self.frame("event: error\ndata: ", &json)),
            Format::Lines => {
                let line = [b"{\"error\":".as_slice(), &json, b"}"].concat();
                Ok(self.frame("", &line))
            }
            Format::Raw => Err(io::Error::other("the stream broke off")),
        }
    }

    fn problem(&self, status: &Status) -> Problem {
        let call = EndedCall {
            upstream: self.worker.edge.package_of(self.route),
            rpc: self.worker.edge.endpoints[self.route].rpc_path.as_str(),
            request_id: &self.request_id,
            trace_id: &self.trace_id,
        };
        let problem = Problem::from_status(status, false, call);
        tracing::info!(
            rpc = call.rpc, request.id = call.request_id, trace_id = call.trace_id,
            reason = %problem.reason, "stream ended with an error"
        );
        problem
    }

    fn frame(&self, start: &str, json: &[u8]) -> Bytes {
        let (start, end) = match self.format {
            Format::Events => (start, "\n\n"),
            Format::Lines | Format::Raw => ("", "\n"),
        };
        [start.as_bytes(), json, end.as_bytes()].concat().into()
    }
}

fn stopping_problem() -> Problem {
    let detail = "the edge is being restarted: call again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, "STOPPING", detail)
}
