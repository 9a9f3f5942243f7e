//! Routes of every RPC that has an HTTP rule: from method and path to the RPC, from path, query and body to its request.

mod rule;
mod trie;

use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::fields::FieldPath;
use crate::path::{Segment, Template, Variable};
use crate::percent::{self, Place};
use crate::{FieldViolation, JsonError, MessageId, Plans, WireError, WriteOptions, peek, query};

pub use rule::RouteError;

/// All routes of a descriptor pool.
#[derive(Debug)]
pub struct Routes {
    routes: Vec<Route>,
    trie: trie::Trie,
}

/// One HTTP binding of an RPC.
#[derive(Debug)]
pub struct Route {
    pub rpc: MethodDescriptor,
    pub http_method: String,
    pub template: Template,
    pub body: Body,
    pub response_body: ResponseBody,
    pub input: MessageId,
    pub output: MessageId,
    /// Of each of the template's variables.
    captured: Vec<FieldPath>,
}

/// The part of the request that the HTTP body holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    None,
    /// `*`
    Whole,
    Field {
        number: u32,
        /// The camelCase name.
        name: String,
    },
}

/// The part of the answer that the HTTP body holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResponseBody {
    Whole,
    Field {
        number: u32,
        /// `"jsonName":`
        json_key: Vec<u8>,
        /// What is written when the field is absent.
        json_default: Vec<u8>,
    },
}

/// What a method and a path lead to.
#[derive(Debug)]
pub enum Found<'r, 'p> {
    Route(Match<'r, 'p>),
    /// The path exists for other methods; `allow` is the header that names them.
    OtherMethods {
        allow: String,
    },
    Nothing,
}

/// A route with the path that led to it.
#[derive(Debug)]
pub struct Match<'r, 'p> {
    pub route: &'r Route,
    /// The place of the route in [`Routes::all`].
    pub index: usize,
    path: &'p str,
    segments: Vec<&'p str>,
}

impl Routes {
    /// Compiles the rules of all RPCs that `is_public` lets through. Answers every error there is.
    pub fn compile(
        pool: &DescriptorPool,
        plans: &Plans,
        is_public: impl Fn(&MethodDescriptor) -> bool,
    ) -> Result<Self, Vec<RouteError>> {
        let methods = pool
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>());
        let (routes, mut errors) = rule::compile(pool, plans, methods.filter(is_public));
        let mut trie = trie::Trie::new();
        for (index, route) in routes.iter().enumerate() {
            if let Err(other) = trie.insert(&route.http_method, &route.template, index) {
                errors.push(RouteError::conflict(&routes[other].rpc, route));
            }
        }
        if errors.is_empty() {
            Ok(Self { routes, trie })
        } else {
            Err(errors)
        }
    }

    pub fn all(&self) -> &[Route] {
        &self.routes
    }

    /// Finds the route of a raw path, without its query. HEAD falls back to GET.
    pub fn find<'p>(&self, method: &str, path: &'p str) -> Found<'_, 'p> {
        let Some(mut segments) = split(path) else {
            return Found::Nothing;
        };
        // A verb that some route of this path has is a verb; else the colon is a part of the last segment.
        if let Some(last) = segments.last_mut()
            && let Some((segment, verb)) = last.rsplit_once(':')
        {
            let whole = std::mem::replace(last, segment);
            match self.look_up(method, path, segments, Some(verb)) {
                Ok(found) => return found,
                Err(given_back) => segments = given_back,
            }
            if let Some(last) = segments.last_mut() {
                *last = whole;
            }
        }
        self.look_up(method, path, segments, None).unwrap_or(Found::Nothing)
    }

    /// Gives the segments back when the path does not exist.
    fn look_up<'p>(
        &self,
        method: &str,
        path: &'p str,
        segments: Vec<&'p str>,
        verb: Option<&str>,
    ) -> Result<Found<'_, 'p>, Vec<&'p str>> {
        if segments.last().is_some_and(|last| last.is_empty()) {
            return Err(segments);
        }
        let mut lookup = trie::Lookup {
            method,
            verb,
            methods_seen: Vec::new(),
        };
        let mut found = self.trie.find(&segments, &mut lookup);
        if found.is_none() && method == "HEAD" {
            let mut lookup = trie::Lookup {
                method: "GET",
                verb,
                methods_seen: Vec::new(),
            };
            found = self.trie.find(&segments, &mut lookup);
        }
        match found {
            Some(index) => Ok(Found::Route(Match {
                route: &self.routes[index],
                index,
                path,
                segments,
            })),
            None if lookup.methods_seen.is_empty() => Err(segments),
            None => Ok(Found::OtherMethods {
                allow: allow(lookup.methods_seen),
            }),
        }
    }
}

/// The segments of a path, or nothing when it does not begin with a slash or has an empty segment: paths are not
/// tidied up, because what guards a path and what serves it must not disagree on what it is.
fn split(path: &str) -> Option<Vec<&str>> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    segments.iter().all(|segment| !segment.is_empty()).then_some(segments)
}

fn allow(mut methods: Vec<&str>) -> String {
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}

impl Match<'_, '_> {
    /// Appends the fields that the path fills.
    pub fn read_path(&self, plans: &Plans, out: &mut Vec<u8>) -> Result<(), FieldViolation> {
        for (variable, field) in self.route.template.variables().iter().zip(&self.route.captured) {
            let spans_segments = self.route.template.spans_segments(variable);
            let place = if spans_segments {
                Place::Segments
            } else {
                Place::Segment
            };
            let value = percent::decode(self.captured_text(variable), place).ok_or_else(|| FieldViolation {
                field: field.name.clone(),
                description: "has a broken percent-escape or is not UTF-8".to_owned(),
            })?;
            plans.read_text(self.route.input, &field.name, &[value.as_ref()], out)?;
        }
        Ok(())
    }

    fn captured_text(&self, variable: &Variable) -> &str {
        let is_rest = self.route.template.segments()[variable.segments.end - 1] == Segment::Rest;
        let end = if is_rest {
            self.segments.len()
        } else {
            variable.segments.end
        };
        let length = |segments: &[&str]| segments.iter().map(|segment| segment.len() + 1).sum::<usize>();
        let start = 1 + length(&self.segments[..variable.segments.start]);
        let length = length(&self.segments[variable.segments.start..end]);
        if length == 0 {
            ""
        } else {
            &self.path[start..start + length - 1]
        }
    }
}

impl Route {
    /// The path of the RPC, as in `/bookmesh.auth.v1.AuthService/CreateUser`.
    pub fn rpc_path(&self) -> String {
        format!("/{}/{}", self.rpc.parent_service().full_name(), self.rpc.name())
    }

    /// Appends the fields that the query fills.
    pub fn read_query(&self, plans: &Plans, query: &str, out: &mut Vec<u8>) -> Result<(), Vec<FieldViolation>> {
        query::read(plans, self.input, query, |numbers| self.owner_of(numbers), out)
    }

    /// Appends the fields that a JSON body fills.
    pub fn read_body(&self, plans: &Plans, json: &[u8], out: &mut Vec<u8>) -> Result<(), JsonError> {
        match &self.body {
            Body::None => Ok(()),
            Body::Whole => plans.read_json(self.input, json, out),
            Body::Field { number, .. } => plans.read_json_field(self.input, *number, json, out),
        }
    }

    /// Appends the answer as JSON.
    pub fn write_response(
        &self,
        plans: &Plans,
        wire: &[u8],
        options: WriteOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let ResponseBody::Field {
            number,
            json_key,
            json_default,
        } = &self.response_body
        else {
            return plans.write_json(self.output, wire, options, out);
        };
        let only_field = peek::only_field(wire, *number)?;
        let start = out.len();
        plans.write_json(self.output, &only_field, WriteOptions { emit_defaults: false }, out)?;
        // `{"key":value}` becomes `value`.
        if out.len() - start <= json_key.len() + 2 {
            out.truncate(start);
            out.extend_from_slice(json_default);
        } else {
            out.pop();
            out.drain(start..=start + json_key.len());
        }
        Ok(())
    }

    /// Whether the query may fill the field.
    pub fn is_query_field(&self, numbers: &[u32]) -> bool {
        self.owner_of(numbers).is_none()
    }

    fn owner_of(&self, numbers: &[u32]) -> Option<&'static str> {
        let is_captured = |field: &FieldPath| field.numbers.starts_with(numbers) || numbers.starts_with(&field.numbers);
        if self.captured.iter().any(is_captured) {
            return Some("the path");
        }
        let in_body = match &self.body {
            Body::None => false,
            Body::Whole => true,
            Body::Field { number, .. } => numbers.first() == Some(number),
        };
        in_body.then_some("the body")
    }
}
