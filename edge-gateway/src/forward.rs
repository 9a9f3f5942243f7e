//! A request's way through the edge, from top to bottom.

use std::rc::Rc;
use std::time::Instant;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use service::trace;
use tonic::Code;
use tracing::Instrument;
use transcode::{Found, Match};

use crate::call::Call;
use crate::compress::{self, Plan};
use crate::connection::Answering;
use crate::deadline::Deadline;
use crate::edge::Edge;
use crate::endpoint::{Input, Output};
use crate::exchange::{self, Exchange};
use crate::problem::Problem;
use crate::routing::{Asked, Table};
use crate::worker::Worker;
use crate::{access, cors, limit, observe, own, security, stream, unary, upload};

const MAX_PATH_AND_QUERY_BYTES: usize = 8 * 1024;
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Answers any request.
pub(crate) async fn handle(request: HttpRequest, payload: Payload) -> HttpResponse {
    let started = Instant::now();
    let _answering = Answering::begin(&request);
    let worker: Rc<Worker> = Rc::clone(request.app_data().expect("the app is made with its worker"));
    // Below what is logged by default: it costs a tenth of a request, and is made only for those who collect spans.
    let span = tracing::debug_span!("request");
    trace::adopt(&span, exchange::header(request.headers(), exchange::TRACEPARENT));
    async move {
        let mut exchange = Exchange::begin(&request, worker.edge.settings.load().client, started);
        let outcome = forward(&worker, &request, payload, &mut exchange).await;
        let mut response = outcome.unwrap_or_else(|problem| problem.to_response(exchange.occurrence(&request)));
        stamp(&worker.edge, &request, &mut response, &mut exchange);
        if worker.edge.stopping.is_cancelled() {
            // The caller's next request then begins with another connection, and does not meet this one's end.
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        if may_compress(&worker.edge, &exchange)
            && let Plan::Encode(coding) = compress::plan(&request, &mut response)
        {
            response = Box::pin(compress::encode(response, coding)).await;
        }
        observe::answered(&worker, &request, &exchange, &response);
        response
    }
    .instrument(span)
    .await
}

async fn forward(
    worker: &Rc<Worker>,
    request: &HttpRequest,
    payload: Payload,
    exchange: &mut Exchange,
) -> Result<HttpResponse, Problem> {
    check_head(request)?;
    if cors::is_preflight(request) {
        return preflight(&worker.edge, request);
    }
    if let Some(answer) = own::answer(worker, request).await {
        return answer;
    }
    limit::guard(&worker.edge, exchange)?;
    let table = worker.edge.router.table();
    let found = match find(&worker.edge, &table, request)? {
        Routed::Route(found) => found,
        Routed::Options(response) => return Ok(response),
    };
    exchange.route = Some(found.index);
    let endpoint = &worker.edge.endpoints[found.index];
    let overload = worker.edge.settings.load().overload;
    let service = worker.edge.served_by[found.index].0;
    let _place = worker
        .resilience
        .enter(&overload, service, endpoint.policy.rate_class)?;
    let visitor = access::check(&endpoint.policy, &worker.edge.verifier, request.headers()).await;
    let subject = visitor.subject(exchange.client);
    limit::take(worker, subject, &endpoint.policy, exchange).await?;
    let admitted = visitor.admission?;
    let deadline = Deadline::new(endpoint.policy.timeout, request.headers())?;
    let _own_write = worker
        .edge
        .cache
        .own_write(&found.route.http_method, admitted.user, &endpoint.source);
    let call = Call {
        way: worker.way(
            &table,
            &Asked::by(
                request,
                worker.edge.served_by[found.index],
                admitted.user,
                exchange.client,
            ),
        ),
        worker,
        request,
        endpoint,
        found,
        admitted,
        deadline,
        exchange,
    };
    answer(call, payload).await
}

async fn answer(call: Call<'_>, payload: Payload) -> Result<HttpResponse, Problem> {
    match (call.endpoint.input, call.endpoint.output) {
        // In boxes of their own: what every request carries along is then no larger than the common case needs.
        (Input::Upload(body), Output::Json | Output::Raw) => Box::pin(upload::answer(call, body, payload)).await,
        (_, Output::Json | Output::Raw) => unary::answer(call, payload).await,
        (_, Output::JsonStream | Output::RawStream) => Box::pin(stream::answer(call, payload)).await,
    }
}

enum Routed<'e, 'r> {
    Route(Match<'e, 'r>),
    Options(HttpResponse),
}

fn find<'e, 'r>(edge: &'e Edge, table: &Table, request: &'r HttpRequest) -> Result<Routed<'e, 'r>, Problem> {
    match edge.find(table, request.method().as_str(), request.uri().path()) {
        Found::Route(found) => Ok(Routed::Route(found)),
        Found::OtherMethods { allow } if request.method() == Method::OPTIONS => Ok(Routed::Options(
            HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish(),
        )),
        Found::OtherMethods { allow } => Err(method_not_allowed(&allow)),
        Found::Nothing => Err(no_such_path()),
    }
}

fn preflight(edge: &Edge, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let settings = edge.settings.load();
    if own::known_path(request.uri().path()).is_some() {
        return Ok(cors::preflight(&settings.cors, request, own::ALLOW));
    }
    let table = edge.router.table();
    match edge.find(&table, request.method().as_str(), request.uri().path()) {
        Found::OtherMethods { allow } => Ok(cors::preflight(&settings.cors, request, &allow)),
        Found::Route(_) | Found::Nothing => Err(no_such_path()),
    }
}

pub(crate) fn method_not_allowed(allow: &str) -> Problem {
    let detail = format!("this path is there for {allow}");
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        Code::Unimplemented,
        "METHOD_NOT_ALLOWED",
        detail,
    );
    let allow = HeaderValue::try_from(allow).expect("methods of the contract are tokens");
    problem.with_header(header::ALLOW, allow)
}

fn no_such_path() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        Code::NotFound,
        "NO_SUCH_PATH",
        "there is nothing at this path",
    )
}

/// Actix itself refuses heads above 128 KiB; these limits are what a service behind can be expected to take.
fn check_head(request: &HttpRequest) -> Result<(), Problem> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_PATH_AND_QUERY_BYTES {
        let detail = format!("path and query have more than {MAX_PATH_AND_QUERY_BYTES} bytes");
        return Err(Problem::new(
            StatusCode::URI_TOO_LONG,
            Code::InvalidArgument,
            "URI_TOO_LONG",
            detail,
        ));
    }
    let headers: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers > MAX_HEADER_BYTES {
        let detail = format!("the headers have more than {MAX_HEADER_BYTES} bytes");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Problem::new(status, Code::InvalidArgument, "HEADERS_TOO_LARGE", detail));
    }
    Ok(())
}

/// What every answer carries.
fn stamp(edge: &Edge, request: &HttpRequest, response: &mut HttpResponse, exchange: &mut Exchange) {
    let settings = edge.settings.load();
    let headers = response.headers_mut();
    if let Ok(request_id) = HeaderValue::from_str(&exchange.request_id) {
        headers.insert(exchange::REQUEST_ID, request_id);
    }
    if let Ok(traceparent) = HeaderValue::from_str(&exchange.traceparent) {
        headers.insert(exchange::TRACEPARENT, traceparent);
    }
    if let Some(standing) = exchange.standing.take() {
        standing.stamp(headers);
    }
    if let Some(notice) = exchange.route.and_then(|route| edge.endpoints[route].notice.as_ref()) {
        notice.stamp(headers);
    }
    security::stamp(&settings.security, headers);
    cors::stamp(&settings.cors, request, headers);
}

/// What the edge says by itself has no secrets.
fn may_compress(edge: &Edge, exchange: &Exchange) -> bool {
    exchange.route.is_none_or(|route| edge.endpoints[route].may_compress)
}
