//! The document as a Postman collection (v2.1), which Bruno and others import too.

use serde_json::{Map, Value, json};

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
/// Where `make up` serves; a variable of the collection.
const BASE_URL: &str = "http://127.0.0.1:8080";
/// Whoever logs in is logged in for all other requests.
const KEEP_TOKEN: [&str; 4] = [
    "if ((pm.response.headers.get(\"content-type\") || \"\").startsWith(\"application/json\")) {",
    "  const answer = pm.response.json();",
    "  if (answer.accessToken) pm.collectionVariables.set(\"accessToken\", answer.accessToken);",
    "}",
];

/// Made from the document, so that it cannot say anything else.
pub(crate) fn collection(document: &Value) -> Value {
    let tags = document["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let folders: Vec<Value> = tags.iter().map(|tag| folder(document, tag)).collect();
    json!({
        "info": {
            "name": document["info"]["title"],
            "description": document["info"]["description"],
            "schema": SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{accessToken}}", "type": "string"}]},
        "event": [{"listen": "test", "script": {"type": "text/javascript", "exec": KEEP_TOKEN}}],
        "variable": [{"key": "baseUrl", "value": BASE_URL}, {"key": "accessToken", "value": ""}],
        "item": folders,
    })
}

fn folder(document: &Value, tag: &Value) -> Value {
    let mut items = Vec::new();
    for (path, methods) in members(&document["paths"]) {
        for (method, operation) in members(methods) {
            if operation["tags"][0] == tag["name"] {
                items.push(item(document, path, method, operation));
            }
        }
    }
    json!({"name": tag["name"], "description": tag["description"], "item": items})
}

fn item(document: &Value, path: &str, method: &str, operation: &Value) -> Value {
    let mut request = json!({
        "method": method.to_ascii_uppercase(),
        "description": operation["description"],
        "header": [],
        "url": url(document, path, operation),
    });
    if operation["security"].as_array().is_some_and(Vec::is_empty) {
        request["auth"] = json!({"type": "noauth"});
    }
    let content = &operation["requestBody"]["content"];
    if let Some(example) = content["application/json"].get("example") {
        let text = serde_json::to_string_pretty(example).expect("a JSON value is always JSON");
        request["header"] = json!([{"key": "Content-Type", "value": "application/json"}]);
        request["body"] = json!({"mode": "raw", "raw": text, "options": {"raw": {"language": "json"}}});
    } else if content.get("multipart/form-data").is_some() {
        request["body"] = json!({"mode": "formdata", "formdata": [{"key": "file", "type": "file", "src": []}]});
    } else if content.is_object() {
        request["body"] = json!({"mode": "file", "file": {}});
    }
    json!({"name": operation["summary"], "request": request, "response": []})
}

fn url(document: &Value, path: &str, operation: &Value) -> Value {
    let parameters = operation["parameters"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let parameters: Vec<&Value> = parameters
        .iter()
        .map(|parameter| resolved(document, parameter))
        .collect();
    let of_place = |place: &'static str| parameters.iter().filter(move |parameter| parameter["in"] == place);
    let segments: Vec<String> = path.trim_start_matches('/').split('/').map(segment).collect();
    let variables: Vec<Value> = of_place("path").map(|parameter| described(parameter)).collect();
    let query = of_place("query").map(|parameter| {
        let mut described = described(parameter);
        described["disabled"] = json!(parameter["required"] != true);
        described
    });
    json!({
        "raw": format!("{{{{baseUrl}}}}/{}", segments.join("/")),
        "host": ["{{baseUrl}}"],
        "path": segments,
        "query": query.collect::<Vec<_>>(),
        "variable": variables,
    })
}

/// `{id}` is `:id`. With a verb behind it, it must be a variable of the collection: `{{id}}:cancel`.
fn segment(segment: &str) -> String {
    match segment.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((name, "")) => format!(":{name}"),
        Some((name, rest)) => format!("{{{{{name}}}}}{rest}"),
        None => segment.to_owned(),
    }
}

fn described(parameter: &Value) -> Value {
    let value = match &parameter["example"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    json!({"key": parameter["name"], "value": value, "description": parameter["description"]})
}

fn resolved<'d>(document: &'d Value, parameter: &'d Value) -> &'d Value {
    let reference = parameter["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'));
    reference
        .and_then(|pointer| document.pointer(pointer))
        .unwrap_or(parameter)
}

fn members(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let members: Option<&Map<String, Value>> = object.as_object();
    members
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}
