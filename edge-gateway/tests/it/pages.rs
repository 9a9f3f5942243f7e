//! What the edge has for people: its own pages, and the collection.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::app::App;

#[tokio::test]
async fn the_first_page_says_what_this_is_in_the_words_of_the_contract() {
    let app = App::start().await;

    let response = app.get("/").send().await.unwrap();

    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let html = response.text().await.unwrap();
    assert!(html.contains("<h1>The &lt;Library&gt;</h1>"), "{html}");
    assert!(html.contains("<p>Send <code>&lt;title&gt;</code>.</p>"), "{html}");
    for link in ["/docs", "/openapi.json", "/collection.json", "/health/ready"] {
        assert!(html.contains(&format!("href=\"{link}\"")), "{link}");
        assert_eq!(app.get(link).send().await.unwrap().status(), 200, "{link}");
    }
}

#[tokio::test]
async fn a_page_runs_no_script_but_those_of_the_edge() {
    let app = App::start().await;

    for page in ["/", "/docs"] {
        let response = app.get(page).send().await.unwrap();
        let policy = response.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned();
        let html = response.text().await.unwrap();

        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for inline in ["<script>", "<style", " style=", "onclick=", "onload=", "javascript:"] {
            assert!(!html.contains(inline), "{page} has {inline}");
        }
    }
}

#[tokio::test]
async fn everything_that_the_browser_of_the_api_needs_is_served() {
    let app = App::start().await;
    let mut paths = BTreeSet::from(["/docs".to_owned()]);
    let mut seen = BTreeSet::new();

    while let Some(path) = paths.pop_first() {
        let response = app.get(&path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let text = response.text().await.unwrap();
        assert!(!text.contains("innerHTML"), "{path} takes texts for HTML");
        assert!(
            !text.contains("http://") && !text.contains("https://"),
            "{path} needs the network"
        );
        seen.insert(path);
        let quoted = text.split('"').filter(|piece| piece.starts_with("/docs/"));
        paths.extend(quoted.map(str::to_owned).filter(|path| !seen.contains(path)));
    }

    assert!(seen.len() >= 6, "{seen:?}");
}

#[tokio::test]
async fn a_page_that_has_not_changed_is_not_sent_again() {
    let app = App::start().await;

    for path in ["/", "/docs", "/docs/docs.js", "/openapi.json", "/collection.json"] {
        let first = app.get(path).send().await.unwrap();
        let etag = first.headers()["etag"].clone();
        let again = app.get(path).header("if-none-match", etag).send().await.unwrap();
        let other = app.get(path).header("if-none-match", "\"other\"").send().await.unwrap();

        assert_eq!((first.status().as_u16(), other.status().as_u16()), (200, 200), "{path}");
        assert_eq!(again.status(), 304, "{path}");
        assert_eq!(again.text().await.unwrap(), "", "{path}");
    }
}

#[tokio::test]
async fn the_collection_has_every_operation_of_the_document() {
    let app = App::start().await;

    let document: Value = app.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    let collection: Value = app.get("/collection.json").send().await.unwrap().json().await.unwrap();

    let schema = collection["info"]["schema"].as_str().unwrap();
    assert!(schema.ends_with("/v2.1.0/collection.json"), "{schema}");
    let folders = collection["item"].as_array().unwrap();
    let items: Vec<&Value> = folders
        .iter()
        .flat_map(|folder| folder["item"].as_array().unwrap())
        .collect();
    let methods = document["paths"].as_object().unwrap().values();
    assert_eq!(
        items.len(),
        methods.map(|methods| methods.as_object().unwrap().len()).sum::<usize>()
    );
    let named = |name: &str| &items.iter().find(|item| item["name"] == name).unwrap()["request"];
    let create = named("Adds a book");
    assert_eq!(create["method"], "POST");
    assert_eq!(create["url"]["raw"], "{{baseUrl}}/v1/books");
    assert_eq!(create["body"]["raw"], "{\n  \"title\": \"Dune\"\n}");
    assert!(create["auth"].is_null(), "the token of the collection is sent");
    assert_eq!(named("Lists books")["auth"]["type"], "noauth");
    assert_eq!(named("Answers one book")["url"]["path"][2], ":id");
    assert_eq!(named("Answers one book")["url"]["variable"][0]["key"], "id");
    assert_eq!(named("Lends a book")["url"]["path"][2], "{{id}}:lend");
    assert_eq!(named("Takes a scan")["body"]["mode"], "formdata");
}
