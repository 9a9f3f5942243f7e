//! The paths that the edge answers by itself.

use serde_json::{Map, Value, json};

use super::problems::Problems;

const TAG: &str = "Edge";

pub(super) fn tag() -> Value {
    json!({"name": TAG, "description": "Whether this can serve, and what it serves."})
}

pub(super) fn describe(problems: &mut Problems) -> Map<String, Value> {
    let live = health("getLiveness", "Says that the process runs", "live", false);
    let startup = health("getStartup", "Says that the process has started", "started", false);
    let ready = health(
        "getReadiness",
        "Says whether the process and everything behind it can serve",
        "ready",
        true,
    );
    let openapi = file("getOpenapi", "Answers this document", "application/json");
    let collection = file(
        "getCollection",
        "Answers the same as a Postman collection, which Bruno imports too",
        "application/json",
    );
    let docs = file("getDocs", "Answers this document for people", "text/html");
    let paths = [
        ("/health/live", live),
        ("/health/startup", startup),
        ("/health/ready", ready),
        ("/openapi.json", openapi),
        ("/collection.json", collection),
        ("/docs", docs),
    ];
    let mut described = Map::new();
    for (path, mut get) in paths {
        for (status, problem) in problems.of_own_path() {
            get["responses"][status] = problem;
        }
        described.insert(path.to_owned(), json!({"get": get}));
    }
    described
}

fn health(id: &str, summary: &str, status: &str, can_fail: bool) -> Value {
    let schema = json!({
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {"type": "string", "description": "The state, in a word."},
            "checks": {
                "type": "array",
                "description": "What was looked at.",
                "items": {
                    "type": "object",
                    "required": ["name", "ok"],
                    "properties": {"name": {"type": "string"}, "ok": {"type": "boolean"}},
                },
            },
        },
    });
    let answer = |description: &str, status: &str| {
        let content = json!({"application/json": {"schema": schema, "example": {"status": status}}});
        json!({"description": description, "content": content})
    };
    let mut responses = json!({"200": answer("It can", status)});
    if can_fail {
        responses["503"] = answer("Not at the moment; a check says why", "not ready");
    }
    operation(id, summary, &responses)
}

fn file(id: &str, summary: &str, content_type: &str) -> Value {
    let schema = if content_type == "application/json" {
        json!({"type": "object"})
    } else {
        json!({"type": "string"})
    };
    let answer = json!({
        "description": "The answer",
        "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
        "content": {content_type: {"schema": schema}},
    });
    operation(id, summary, &json!({"200": answer}))
}

fn operation(id: &str, summary: &str, responses: &Value) -> Value {
    json!({
        "operationId": id,
        "tags": [TAG],
        "summary": summary,
        "description": format!("{summary}."),
        "responses": responses,
        "security": [],
    })
}
