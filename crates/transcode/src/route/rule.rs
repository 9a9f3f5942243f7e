//! Compiles google.api.http rules into routes and says what is wrong with them.

use prost_reflect::{DescriptorPool, DynamicMessage, ExtensionDescriptor, Kind, MethodDescriptor, Value};

use super::{Body, ResponseBody, Route};
use crate::fields::{self, FieldPath};
use crate::path::{Template, TemplateError};
use crate::plan::{Cardinality, Shape};
use crate::{MessageId, Plans};

/// An HTTP rule that cannot be served.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RouteError {
    #[error("{rpc}: {error}")]
    Template { rpc: String, error: TemplateError },
    #[error("{rpc}: the HTTP rule has no method and path")]
    NoPattern { rpc: String },
    #[error("{rpc}: `{field}` is no field of the request that a path can fill")]
    PathField { rpc: String, field: String },
    #[error("{rpc}: body `{field}` is no field of the request")]
    BodyField { rpc: String, field: String },
    #[error("{rpc}: a GET has no body")]
    BodyOfGet { rpc: String },
    #[error("{rpc}: response_body `{field}` is no field of the answer")]
    ResponseField { rpc: String, field: String },
    #[error("{rpc}: `{method}` with this path is taken by {other}")]
    Conflict { rpc: String, other: String, method: String },
}

impl RouteError {
    pub(super) fn conflict(first: &MethodDescriptor, second: &Route) -> Self {
        Self::Conflict {
            rpc: second.rpc.full_name().to_owned(),
            other: first.full_name().to_owned(),
            method: second.http_method.clone(),
        }
    }
}

pub(super) fn compile(
    pool: &DescriptorPool,
    plans: &Plans,
    methods: impl Iterator<Item = MethodDescriptor>,
) -> (Vec<Route>, Vec<RouteError>) {
    let (mut routes, mut errors) = (Vec::new(), Vec::new());
    let Some(http) = pool.get_extension_by_name("google.api.http") else {
        return (routes, errors);
    };
    for rpc in methods {
        for rule in rules(&rpc, &http) {
            match route(plans, &rpc, &rule) {
                Ok(route) => routes.push(route),
                Err(error) => errors.push(error),
            }
        }
    }
    (routes, errors)
}

/// The rule of an RPC, followed by its additional bindings.
fn rules(rpc: &MethodDescriptor, http: &ExtensionDescriptor) -> Vec<DynamicMessage> {
    let options = rpc.options();
    if !options.has_extension(http) {
        return Vec::new();
    }
    let Value::Message(rule) = options.get_extension(http).into_owned() else {
        return Vec::new();
    };
    let mut rules = vec![rule];
    if let Some(Value::List(additional)) = rules[0]
        .get_field_by_name("additional_bindings")
        .map(|list| list.into_owned())
    {
        rules.extend(additional.into_iter().filter_map(|value| value.as_message().cloned()));
    }
    rules
}

fn route(plans: &Plans, rpc: &MethodDescriptor, rule: &DynamicMessage) -> Result<Route, RouteError> {
    let name = || rpc.full_name().to_owned();
    let (http_method, path) = pattern(rule).ok_or_else(|| RouteError::NoPattern { rpc: name() })?;
    let template = Template::parse(&path).map_err(|error| RouteError::Template { rpc: name(), error })?;
    let input = message_id(plans, rpc.input().full_name());
    let output = message_id(plans, rpc.output().full_name());
    let mut captured = Vec::new();
    for variable in template.variables() {
        let field = path_field(plans, rpc, input, &variable.field_path).ok_or_else(|| RouteError::PathField {
            rpc: name(),
            field: variable.field_path.clone(),
        })?;
        captured.push(field);
    }
    let body = body(rpc, &text(rule, "body"))?;
    if http_method == "GET" && body != Body::None {
        return Err(RouteError::BodyOfGet { rpc: name() });
    }
    let response_body = response_body(plans, rpc, output, &text(rule, "response_body"))?;
    Ok(Route {
        rpc: rpc.clone(),
        http_method,
        template,
        body,
        response_body,
        input,
        output,
        captured,
    })
}

fn message_id(plans: &Plans, full_name: &str) -> MessageId {
    plans
        .message(full_name)
        .expect("the plans are compiled from the same descriptor pool")
}

fn pattern(rule: &DynamicMessage) -> Option<(String, String)> {
    for method in ["get", "put", "post", "delete", "patch"] {
        if rule.has_field_by_name(method) {
            return Some((method.to_ascii_uppercase(), text(rule, method)));
        }
    }
    let custom = rule.get_field_by_name("custom")?;
    let custom = custom.as_message()?;
    let (kind, path) = (text(custom, "kind"), text(custom, "path"));
    (!kind.is_empty()).then_some((kind, path))
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message
        .get_field_by_name(field)
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// A single scalar, or a message that is one text in JSON.
fn path_field(plans: &Plans, rpc: &MethodDescriptor, input: MessageId, path: &str) -> Option<FieldPath> {
    let mut message = rpc.input();
    let names: Vec<&str> = path.split('.').collect();
    let (last, parents) = names.split_last()?;
    for parent in parents {
        let Kind::Message(inner) = message.get_field_by_name(parent)?.kind() else {
            return None;
        };
        message = inner;
    }
    let field = message.get_field_by_name(last)?;
    let is_text = match field.kind() {
        Kind::Message(inner) => {
            let shape = plans.message_plan(plans.message(inner.full_name())?).shape;
            matches!(
                shape,
                Shape::Timestamp | Shape::Duration | Shape::FieldMask | Shape::Wrapper
            )
        }
        _ => true,
    };
    if field.is_list() || field.is_map() || !is_text {
        return None;
    }
    fields::resolve(plans, input, path)
}

fn body(rpc: &MethodDescriptor, name: &str) -> Result<Body, RouteError> {
    match name {
        "" => Ok(Body::None),
        "*" => Ok(Body::Whole),
        name => match rpc.input().get_field_by_name(name) {
            Some(field) => Ok(Body::Field {
                number: field.number(),
                name: field.json_name().to_owned(),
            }),
            None => Err(RouteError::BodyField {
                rpc: rpc.full_name().to_owned(),
                field: name.to_owned(),
            }),
        },
    }
}

fn response_body(
    plans: &Plans,
    rpc: &MethodDescriptor,
    output: MessageId,
    name: &str,
) -> Result<ResponseBody, RouteError> {
    if name.is_empty() {
        return Ok(ResponseBody::Whole);
    }
    let Some(field) = rpc.output().get_field_by_name(name) else {
        return Err(RouteError::ResponseField {
            rpc: rpc.full_name().to_owned(),
            field: name.to_owned(),
        });
    };
    let plan = plans.message_plan(output);
    let plan = &plan.fields[plan
        .index_of(field.number())
        .expect("every field of the descriptor has a plan")];
    let absent = match plan.cardinality {
        Cardinality::Explicit if matches!(field.kind(), Kind::Message(_)) => b"{}".to_vec(),
        Cardinality::Explicit => b"null".to_vec(),
        Cardinality::Implicit | Cardinality::List { .. } | Cardinality::Map => {
            plan.json_default[plan.json_key.len()..].to_vec()
        }
    };
    Ok(ResponseBody::Field {
        number: field.number(),
        json_key: plan.json_key.clone(),
        json_default: absent,
    })
}
