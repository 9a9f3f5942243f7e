//! The kinds of problems that the contract knows, and which operation can answer which.

use actix_web::http::StatusCode;
use bookmesh_proto::edge::v1::problem::When;
use prost_reflect::{DescriptorPool, EnumDescriptor, EnumValueDescriptor};
use serde_json::{Value, json};
use tonic::Code;
use transcode::{Body, Route};

use super::comments::Comments;
use super::options::Options;
use crate::endpoint::{Endpoint, Input, Output};
use crate::policy::Access;
use crate::problem::code;

/// A value of an enum with the option `problem`.
pub(super) struct Reason {
    pub(super) name: String,
    pub(super) code: Code,
    pub(super) statuses: Vec<StatusCode>,
    /// What it means, in one line.
    pub(super) meaning: String,
    /// What the caller can do.
    pub(super) advice: String,
    pub(super) domain: String,
    when: When,
}

/// All of the contract, in its order.
pub(super) fn all(pool: &DescriptorPool, options: &Options, comments: &Comments) -> Vec<Reason> {
    let values = pool.all_enums().flat_map(|descriptor| {
        let values: Vec<_> = descriptor.values().map(|value| (descriptor.clone(), value)).collect();
        values
    });
    values
        .filter_map(|(descriptor, value)| reason(&descriptor, &value, options, comments))
        .collect()
}

fn reason(
    descriptor: &EnumDescriptor,
    value: &EnumValueDescriptor,
    options: &Options,
    comments: &Comments,
) -> Option<Reason> {
    let problem = options.problem(value)?;
    let code = code::named(&problem.code)?;
    let own_statuses = problem.http_status.iter();
    let mut statuses: Vec<StatusCode> = own_statuses
        .filter_map(|status| StatusCode::from_u16(u16::try_from(*status).ok()?).ok())
        .collect();
    if statuses.is_empty() {
        statuses.push(code::http_status(code));
    }
    let comment = comments.of_descriptor(&descriptor.parent_file(), value.path());
    let (meaning, advice) = comment.split_once("\n\n").unwrap_or((comment, ""));
    let package = descriptor.package_name();
    Some(Reason {
        name: value.name().to_owned(),
        code,
        statuses,
        meaning: meaning.to_owned(),
        advice: advice.to_owned(),
        domain: package.split('.').next().unwrap_or(package).to_owned(),
        when: problem.when(),
    })
}

impl Reason {
    /// `named`: what the policy lists.
    pub(super) fn applies(&self, route: &Route, endpoint: &Endpoint, named: &[String]) -> bool {
        let follows = match self.when {
            When::Unspecified | When::NoOperation => false,
            When::Everywhere | When::AnyRequest => true,
            When::Token => matches!(endpoint.policy.access, Access::User { .. }),
            When::Scopes => matches!(&endpoint.policy.access, Access::User { scopes, .. } if !scopes.is_empty()),
            When::Body => route.body != Body::None,
            When::File => matches!(endpoint.input, Input::Upload(_)),
            When::NamedResource => !route.template.variables().is_empty(),
            When::Etag => endpoint.request_etag.is_some(),
            When::Stream => matches!(endpoint.output, Output::JsonStream | Output::RawStream),
            When::RequestId => route.rpc.input().get_field_by_name("request_id").is_some(),
        };
        follows || named.contains(&self.name)
    }

    /// Whether also the paths that the edge answers by itself can answer it.
    pub(super) fn applies_to_own_paths(&self) -> bool {
        self.when == When::AnyRequest
    }

    /// For `/docs`, which has an entry for each.
    pub(super) fn entry(&self) -> Value {
        let statuses: Vec<u16> = self.statuses.iter().map(StatusCode::as_u16).collect();
        json!({
            "reason": self.name,
            "code": code::name(self.code),
            "statuses": statuses,
            "description": self.meaning,
            "advice": self.advice,
        })
    }

    /// A problem as a caller gets it.
    pub(super) fn example(&self, status: StatusCode) -> Value {
        let mut example = json!({
            "type": crate::problem::type_of(&self.name),
            "title": code::title(status, self.code),
            "status": status.as_u16(),
            "detail": self.meaning.trim_end_matches('.'),
            "instance": "/v1/example",
            "code": code::name(self.code),
            "reason": self.name,
            "domain": self.domain,
            "requestId": super::examples::ID,
            "traceId": super::examples::TRACE_ID,
        });
        if self.name == crate::problem::INVALID_FIELDS {
            example["errors"] = json!([{"field": "pageSize", "description": "must not be negative"}]);
        }
        example
    }
}
