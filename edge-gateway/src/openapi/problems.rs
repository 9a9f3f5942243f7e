//! The problems of each operation, by status; equal ones are written once.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};
use transcode::Route;

use super::headers;
use super::reasons::Reason;
use crate::endpoint::Endpoint;
use crate::problem::CONTENT_TYPE;

pub(super) struct Problems {
    reasons: Vec<Reason>,
    /// Names and responses in the order in which they were needed first.
    responses: Vec<(String, Value)>,
    examples: Map<String, Value>,
}

impl Problems {
    pub(super) fn new(reasons: Vec<Reason>) -> Self {
        Self {
            reasons,
            responses: Vec::new(),
            examples: Map::new(),
        }
    }

    /// References by status.
    pub(super) fn of_operation(&mut self, route: &Route, endpoint: &Endpoint, named: &[String]) -> Map<String, Value> {
        self.of_those(|reason| reason.applies(route, endpoint, named))
    }

    /// References by status.
    pub(super) fn of_own_path(&mut self) -> Map<String, Value> {
        self.of_those(Reason::applies_to_own_paths)
    }

    /// A contract that names no reasons says no more than that there are problems.
    fn of_those(&mut self, applies: impl Fn(&Reason) -> bool) -> Map<String, Value> {
        let mut by_status: BTreeMap<StatusCode, Vec<usize>> = BTreeMap::new();
        for (place, reason) in self.reasons.iter().enumerate().filter(|(_, reason)| applies(reason)) {
            for status in &reason.statuses {
                by_status.entry(*status).or_default().push(place);
            }
        }
        if by_status.is_empty() {
            let response = json!({
                "description": "What went wrong (RFC 9457).",
                "content": {CONTENT_TYPE: {"schema": schema_reference()}},
            });
            return Map::from_iter([("default".to_owned(), self.share("Problem", response))]);
        }
        let mut references = Map::new();
        for (status, places) in by_status {
            let response = self.response(status, &places);
            let name = format!("Problem{}", status.as_u16());
            references.insert(status.as_u16().to_string(), self.share(&name, response));
        }
        references
    }

    /// The shared responses, the examples, and an entry for each reason.
    pub(super) fn finish(self) -> (Map<String, Value>, Map<String, Value>, Vec<Value>) {
        let entries = self.reasons.iter().map(Reason::entry).collect();
        (self.responses.into_iter().collect(), self.examples, entries)
    }

    fn response(&mut self, status: StatusCode, places: &[usize]) -> Value {
        let mut lines = Vec::new();
        let mut examples = Map::new();
        for place in places {
            let reason = &self.reasons[*place];
            lines.push(format!("* `{}`: {}", reason.name, reason.meaning));
            let name = match reason.statuses.first() {
                Some(first) if *first == status => reason.name.clone(),
                Some(_) | None => format!("{}_{}", reason.name, status.as_u16()),
            };
            examples.insert(
                reason.name.clone(),
                json!({"$ref": format!("#/components/examples/{name}")}),
            );
            let example = json!({"summary": reason.meaning, "value": reason.example(status)});
            self.examples.insert(name, example);
        }
        json!({
            "description": lines.join("\n"),
            "headers": headers::of_problem(status),
            "content": {CONTENT_TYPE: {"schema": schema_reference(), "examples": examples}},
        })
    }

    /// The reference to an equal response, or to this one under the first name that is free.
    fn share(&mut self, name: &str, response: Value) -> Value {
        let known = self.responses.iter().find(|(_, other)| *other == response);
        let name = match known {
            Some((known, _)) => known.clone(),
            None => {
                let is_taken = |name: &String| self.responses.iter().any(|(other, _)| other == name);
                let numbered = (2..).map(|number| format!("{name}_{number}"));
                let free = std::iter::once(name.to_owned())
                    .chain(numbered)
                    .find(|name| !is_taken(name));
                let free = free.expect("numbers do not end");
                self.responses.push((free.clone(), response));
                free
            }
        };
        json!({"$ref": format!("#/components/responses/{name}")})
    }
}

fn schema_reference() -> Value {
    json!({"$ref": "#/components/schemas/Problem"})
}

pub(super) fn schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "code", "requestId", "traceId"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "description": "Names the kind of problem, and leads to what can be done."},
            "title": text("The kind of problem, for people."),
            "status": {"type": "integer", "format": "int32", "description": "The HTTP status."},
            "detail": text("What went wrong this time, for people."),
            "instance": text("The path that was called."),
            "code": text("The name of the gRPC code, such as NOT_FOUND."),
            "reason": text("A stable name for programs, such as ETAG_MISMATCH."),
            "domain": text("Who gives the reason its meaning."),
            "metadata": {
                "type": "object", "additionalProperties": {"type": "string"}, "description": "More for programs.",
            },
            "errors": {
                "type": "array",
                "description": "What is wrong with each field.",
                "items": {
                    "type": "object",
                    "required": ["field", "description"],
                    "properties": {
                        "field": text("The field, as in `tags[3]`; empty for the body itself."),
                        "description": text("The rule that it breaks."),
                    },
                },
            },
            "requestId": text("Names the request in logs."),
            "traceId": text("Names the trace that the request belongs to."),
        },
    })
}
