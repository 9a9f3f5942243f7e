//! One call of a service: its message, its metadata, its errors.

use std::rc::Rc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use bytes::Bytes;
use tonic::{Code, Status};
use transcode::{Body, Found, Match, peek};
use uuid::Uuid;

use crate::access::{self, Admitted};
use crate::deadline::Deadline;
use crate::endpoint::{Endpoint, Input, Output, RawBody};
use crate::exchange::{self, Exchange};
use crate::limit::Subject;
use crate::problem::{EndedCall, Problem};
use crate::resilience::UploadPlace;
use crate::routing::Asked;
use crate::upstream::Picked;
use crate::worker::{Way, Worker};
use crate::{body, idempotency, metadata};

/// google.api.HttpBody: `string content_type = 1; bytes data = 2`.
pub(crate) const CONTENT_TYPE: u32 = 1;
pub(crate) const DATA: u32 = 2;

/// A request that was found worth a call.
pub(crate) struct Call<'a> {
    pub(crate) worker: &'a Rc<Worker>,
    pub(crate) request: &'a HttpRequest,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) found: Match<'a, 'a>,
    pub(crate) admitted: Admitted<'a>,
    pub(crate) way: Way,
    pub(crate) deadline: Deadline,
    pub(crate) exchange: &'a mut Exchange,
}

/// A call that outlives the request it was made for.
pub(crate) struct Detached {
    worker: Rc<Worker>,
    request: HttpRequest,
    authorization: Option<String>,
    user: Option<Uuid>,
    exchange: Exchange,
}

impl Detached {
    pub(crate) fn of(call: &Call<'_>) -> Self {
        Self {
            worker: Rc::clone(call.worker),
            request: call.request.clone(),
            authorization: call.admitted.authorization.map(str::to_owned),
            user: call.admitted.user,
            exchange: call.exchange.clone(),
        }
    }

    /// The call again, with all the time that the policy gives it. Nothing only if its route were gone.
    pub(crate) fn call(&mut self) -> Option<Call<'_>> {
        let edge = &self.worker.edge;
        let (method, path) = (self.request.method().as_str(), self.request.uri().path());
        let table = edge.router.table();
        let Found::Route(found) = edge.find(&table, method, path) else {
            return None;
        };
        let endpoint = &edge.endpoints[found.index];
        let upstream = edge.served_by[found.index];
        let asked = Asked::by(&self.request, upstream, self.user, self.exchange.client);
        Some(Call {
            way: self.worker.way(&table, &asked),
            worker: &self.worker,
            request: &self.request,
            endpoint,
            found,
            admitted: Admitted {
                authorization: self.authorization.as_deref(),
                user: self.user,
            },
            deadline: Deadline::after(endpoint.policy.timeout),
            exchange: &mut self.exchange,
        })
    }
}

impl<'a> Call<'a> {
    /// Whether the request has a body that the call needs.
    pub(crate) fn has_body(&self) -> bool {
        self.found.route.body != Body::None
    }

    /// Reads what is to be sent out of path, query and body.
    pub(crate) async fn read_message(&self, payload: actix_web::web::Payload) -> Result<Vec<u8>, Problem> {
        if !self.has_body() {
            return self.message(&[]);
        }
        self.check_room()?;
        let length = exchange::header(self.request.headers(), header::CONTENT_LENGTH);
        if self.endpoint.input == Input::Json && length != Some("0") {
            body::check_is_json(self.request)?;
        }
        let settings = self.worker.edge.settings.load().connections;
        let content = body::read(self.request, payload, self.endpoint.policy.max_body_bytes, settings).await?;
        self.message(&content)
    }

    /// A place among the uploads of its caller.
    pub(crate) fn enter_upload(&self) -> Result<UploadPlace<'a>, Problem> {
        let worker: &'a Worker = self.worker;
        let service = worker.edge.served_by[self.found.index].0;
        let group = self.endpoint.policy.rate_class;
        let subject = match self.admitted.user {
            Some(user) => Subject::User(user),
            None => Subject::of_address(self.exchange.client),
        };
        let overload = worker.edge.settings.load().overload;
        let resilience = &worker.resilience;
        resilience.enter_upload(&overload, (service, group), subject)
    }

    /// A call that would not be made needs no body.
    fn check_room(&self) -> Result<(), Problem> {
        let edge = &self.worker.edge;
        let service = edge.served_by[self.found.index].0;
        let resilience = &self.worker.resilience;
        resilience.check_room(&edge.settings.load(), service, self.endpoint.policy.rate_class)
    }

    /// Protobuf merges what comes later into what came first, so the parts are written one after the other; the path
    /// comes after the body because it decides.
    fn message(&self, content: &[u8]) -> Result<Vec<u8>, Problem> {
        let mut wire = Vec::with_capacity(content.len() + 128);
        match self.endpoint.input {
            Input::Json if content.is_empty() => {}
            Input::Json => {
                let read = self.found.route.read_body(&self.worker.edge.plans, content, &mut wire);
                read.map_err(|error| Problem::invalid_fields(error.violations))?;
            }
            Input::Raw(raw) | Input::Upload(raw) => {
                let content_type = exchange::header(self.request.headers(), header::CONTENT_TYPE).unwrap_or_default();
                push_raw_body(raw, content_type, content, &mut wire);
            }
        }
        let fields_begin = wire.len();
        self.push_fields(&mut wire)?;
        if let Some(mask) = &self.endpoint.mask
            && !mask.is_in(&wire[fields_begin..])
        {
            mask.push_derived(content, &mut wire);
        }
        Ok(wire)
    }

    /// Appends what path and query fill.
    pub(crate) fn push_fields(&self, wire: &mut Vec<u8>) -> Result<(), Problem> {
        let plans = &self.worker.edge.plans;
        let read = self.found.read_path(plans, wire);
        read.map_err(|violation| Problem::invalid_fields(vec![violation]).relative_to(self.body_field()))?;
        if let Some(query) = self.request.uri().query() {
            let read = self.found.route.read_query(plans, query, wire);
            read.map_err(Problem::invalid_fields)?;
        }
        let (headers, http_method) = (self.request.headers(), &self.found.route.http_method);
        idempotency::push_key(headers, http_method, self.endpoint.request_id, wire)
    }

    /// Whether the routing sends it elsewhere than to its package's own address. What is answered there is nobody else's business:
    /// it is not kept, and nothing kept is good for it.
    pub(crate) fn is_rerouted(&self) -> bool {
        matches!(self.way, Way::Elsewhere(_))
    }

    /// Where this attempt goes, by the load of the moment; nothing when no endpoint is known.
    pub(crate) fn pick(&self) -> Option<Picked> {
        let destination = self.way.destination()?;
        match self.endpoint.output {
            Output::JsonStream | Output::RawStream => destination.for_streams(),
            Output::Json | Output::Raw => destination.for_calls(),
        }
    }

    /// Gives a message its metadata, with the time that is left when there is an end to it.
    pub(crate) fn grpc_request<T>(&self, message: T, timeout: Option<Duration>) -> tonic::Request<T> {
        let mut grpc_request = tonic::Request::new(message);
        *grpc_request.metadata_mut() = metadata::of(self, timeout);
        grpc_request
    }

    pub(crate) fn problem(&self, status: &Status) -> Problem {
        let is_conditional = self.request.headers().contains_key("if-match");
        let call = EndedCall {
            upstream: self.worker.edge.package_of(self.found.index),
            rpc: self.endpoint.rpc_path.as_str(),
            request_id: &self.exchange.request_id,
            trace_id: self.exchange.trace_id(),
        };
        let problem = Problem::from_status(status, is_conditional, call).relative_to(self.body_field());
        match problem.code {
            Code::Unauthenticated => problem.with_header(
                actix_web::http::header::WWW_AUTHENTICATE,
                access::challenge(&self.endpoint.policy),
            ),
            _ => problem,
        }
    }

    fn body_field(&self) -> Option<&str> {
        match &self.found.route.body {
            Body::Field { name, .. } => Some(name),
            Body::None | Body::Whole => None,
        }
    }
}

/// Appends a google.api.HttpBody.
pub(crate) fn push_raw_body(raw: RawBody, content_type: &str, data: &[u8], wire: &mut Vec<u8>) {
    let push = |wire: &mut Vec<u8>| {
        if !content_type.is_empty() {
            peek::push_field(wire, CONTENT_TYPE, content_type.as_bytes());
        }
        if !data.is_empty() {
            peek::push_field(wire, DATA, data);
        }
    };
    match raw.field {
        Some(number) => peek::push_message(wire, number, push),
        None => push(wire),
    }
}

/// The content type and the data of a google.api.HttpBody.
pub(crate) fn split_raw_body(message: &Bytes) -> (&str, Bytes) {
    let content_type = peek::last_text(message, CONTENT_TYPE).unwrap_or_default();
    let data = peek::last_bytes(message, DATA)
        .map(|data| message.slice_ref(data))
        .unwrap_or_default();
    (
        if content_type.is_empty() {
            "application/octet-stream"
        } else {
            content_type
        },
        data,
    )
}
