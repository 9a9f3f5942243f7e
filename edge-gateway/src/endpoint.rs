//! What the edge does for one route, worked out once from the descriptors.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, ensure};
use http::uri::PathAndQuery;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use transcode::{Body, Found, Route, Routes, Segment, Template};

use crate::lifecycle::Notice;
use crate::mask::MaskRule;
use crate::policy::{Keeping, Policy, RateClass};
use crate::resilience::Repeat;

const HTTP_BODY: &str = "google.api.HttpBody";

pub(crate) struct Endpoint {
    pub(crate) policy: Policy,
    pub(crate) rpc_path: PathAndQuery,
    /// The path with its variables, for logs and metrics: a raw path would have ids in it.
    pub(crate) template: Arc<str>,
    pub(crate) input: Input,
    pub(crate) output: Output,
    pub(crate) success: Success,
    pub(crate) request_etag: Option<RequestEtag>,
    /// The number of the answer's `etag`.
    pub(crate) response_etag: Option<u32>,
    /// The number of the answer's `next_page_token`.
    pub(crate) next_page_token: Option<u32>,
    pub(crate) mask: Option<MaskRule>,
    pub(crate) repeat: Repeat,
    /// The number of the request's `request_id`.
    pub(crate) request_id: Option<u32>,
    /// What events of the package are named after: `books` for `example.books.v1`.
    pub(crate) source: Arc<str>,
    /// How answers are kept.
    pub(crate) keeping: Option<Keeping>,
    /// Whether answers may be compressed.
    pub(crate) may_compress: bool,
    /// What answers say of an RPC that goes away.
    pub(crate) notice: Option<Notice>,
}

/// How the request gets its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Input {
    Json,
    /// As it is, in one message.
    Raw(RawBody),
    /// As it is, in a stream of messages.
    Upload(RawBody),
}

/// Where a request has its google.api.HttpBody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RawBody {
    /// The number of the field; nothing when the request is itself one.
    pub(crate) field: Option<u32>,
    /// The number of a field `file_name`.
    pub(crate) file_name: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    Json,
    Raw,
    JsonStream,
    RawStream,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Success {
    Ok,
    NoContent,
    Created(Option<Location>),
    Accepted(Option<Location>),
}

/// The answer is found again at the path of the request, a slash, and its id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Location {
    /// The number of the answer's `id`.
    pub(crate) id: u32,
}

/// Where a request takes the etag that must still fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RequestEtag {
    /// The number of the resource in the request; nothing when the request has the etag itself.
    pub(crate) resource: Option<u32>,
    pub(crate) etag: u32,
}

impl Endpoint {
    pub(crate) fn of(route: &Route, policy: Policy, routes: &Routes) -> anyhow::Result<Self> {
        let rpc = &route.rpc;
        let rpc_path = PathAndQuery::try_from(route.rpc_path()).context("an RPC's name is always a path")?;
        let input = input(route);
        let is_upload = matches!(input, Input::Upload(_));
        let request_id = text_field(&rpc.input(), "request_id");
        ensure!(
            rpc.is_client_streaming() == is_upload,
            "a stream of requests needs a body of type {HTTP_BODY}"
        );
        Ok(Self {
            rpc_path,
            template: print(&route.template).into(),
            input,
            output: output(route),
            success: success(route, &policy, routes),
            request_etag: request_etag(route),
            response_etag: text_field(&rpc.output(), "etag"),
            next_page_token: text_field(&rpc.output(), "next_page_token").filter(|_| route.http_method == "GET"),
            mask: MaskRule::of(route),
            repeat: Repeat::of(rpc, policy.hedge_after, request_id)?,
            request_id,
            source: source(rpc.parent_service().package_name()).into(),
            keeping: policy.keeping.filter(|_| is_kept(route)),
            may_compress: may_compress(route, &policy),
            notice: notice(route, &policy)?,
            policy,
        })
    }
}

/// The package's name without its version.
fn source(package: &str) -> &str {
    let mut names = package.rsplit('.');
    let last = names.next().unwrap_or_default();
    names.next().filter(|_| last.starts_with('v')).unwrap_or(last)
}

/// The length of a compressed answer tells whoever sees it whether a guess that went in is part of a secret that comes out
/// (BREACH). So what checks passwords and tokens, and what is sent with a body, answers as it is.
fn may_compress(route: &Route, policy: &Policy) -> bool {
    route.http_method == "GET" && policy.rate_class != RateClass::Identity
}

fn notice(route: &Route, policy: &Policy) -> anyhow::Result<Option<Notice>> {
    // As OpenAPI names operations, which is where `/docs` has them.
    let operation = format!("{}_{}", route.rpc.parent_service().name(), route.rpc.name());
    let notice = policy.lifecycle.map(|lifecycle| lifecycle.notice(&operation));
    notice.transpose()
}

/// Only reads that answer JSON at once.
fn is_kept(route: &Route) -> bool {
    route.http_method == "GET" && output(route) == Output::Json
}

fn input(route: &Route) -> Input {
    let message = route.rpc.input();
    let file_name = text_field(&message, "file_name");
    let raw = match &route.body {
        Body::Whole if message.full_name() == HTTP_BODY => RawBody {
            field: None,
            file_name: None,
        },
        Body::Field { number, .. } if is_http_body(message.get_field(*number)) => RawBody {
            field: Some(*number),
            file_name,
        },
        Body::None | Body::Whole | Body::Field { .. } => return Input::Json,
    };
    if route.rpc.is_client_streaming() {
        Input::Upload(raw)
    } else {
        Input::Raw(raw)
    }
}

fn is_http_body(field: Option<FieldDescriptor>) -> bool {
    field.is_some_and(|field| matches!(field.kind(), Kind::Message(message) if message.full_name() == HTTP_BODY))
}

fn output(route: &Route) -> Output {
    let is_raw = route.rpc.output().full_name() == HTTP_BODY;
    match (route.rpc.is_server_streaming(), is_raw) {
        (false, false) => Output::Json,
        (false, true) => Output::Raw,
        (true, false) => Output::JsonStream,
        (true, true) => Output::RawStream,
    }
}

fn success(route: &Route, policy: &Policy, routes: &Routes) -> Success {
    let output = route.rpc.output();
    let is_empty = output.full_name() == "google.protobuf.Empty";
    let creates = route.http_method == "POST" && route.rpc.name().strip_prefix("Create") == Some(output.name());
    let id = text_field(&output, "id");
    match id {
        _ if is_empty && route.http_method == "DELETE" => Success::NoContent,
        _ if policy.long_running => Success::Accepted(id.and_then(|id| location(route, routes, id))),
        Some(id) if creates => Success::Created(location(route, routes, id)),
        _ => Success::Ok,
    }
}

/// Only when there is a GET for it.
fn location(route: &Route, routes: &Routes, id: u32) -> Option<Location> {
    let mut probe = String::new();
    for segment in route.template.segments() {
        probe.push('/');
        match segment {
            Segment::Literal(literal) => probe.push_str(literal),
            Segment::One | Segment::Rest => probe.push('0'),
        }
    }
    probe.push_str("/0");
    let is_readable = matches!(routes.find("GET", &probe), Found::Route(_));
    (is_readable && route.template.verb().is_none()).then_some(Location { id })
}

fn request_etag(route: &Route) -> Option<RequestEtag> {
    let message = route.rpc.input();
    if let Some(etag) = text_field(&message, "etag") {
        return Some(RequestEtag { resource: None, etag });
    }
    let Body::Field { number, .. } = &route.body else {
        return None;
    };
    let Kind::Message(resource) = message.get_field(*number)?.kind() else {
        return None;
    };
    Some(RequestEtag {
        resource: Some(*number),
        etag: text_field(&resource, "etag")?,
    })
}

/// The number of a single string field.
fn text_field(message: &MessageDescriptor, name: &str) -> Option<u32> {
    let field = message.get_field_by_name(name)?;
    (matches!(field.kind(), Kind::String) && !field.is_list()).then(|| field.number())
}

/// `/v1/books/{id}:read`; a variable of several segments keeps them, as `/v1/{name=shelves/*}`.
fn print(template: &Template) -> String {
    let variables: BTreeMap<usize, _> = template
        .variables()
        .iter()
        .map(|variable| (variable.segments.start, variable))
        .collect();
    let segments = template.segments();
    let mut printed = String::new();
    let mut place = 0;
    while place < segments.len() {
        printed.push('/');
        let Some(variable) = variables.get(&place) else {
            printed.push_str(segment_text(&segments[place]));
            place += 1;
            continue;
        };
        let inside: Vec<&str> = segments[variable.segments.clone()].iter().map(segment_text).collect();
        let inside = inside.join("/");
        let pattern = if inside == "*" {
            String::new()
        } else {
            format!("={inside}")
        };
        printed.push_str(&format!("{{{}{pattern}}}", variable.field_path));
        place = variable.segments.end;
    }
    if let Some(verb) = template.verb() {
        printed.push(':');
        printed.push_str(verb);
    }
    printed
}

fn segment_text(segment: &Segment) -> &str {
    match segment {
        Segment::Literal(literal) => literal,
        Segment::One => "*",
        Segment::Rest => "**",
    }
}
