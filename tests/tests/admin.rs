//! Admins through the edge: what they read, that nobody else does, and that nobody makes themselves one.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Answer, Client, PASSWORD, start_platform};

const ROUTES: [(&str, &str); 11] = [
    ("GET", "/v1/admin/users"),
    ("GET", "/v1/admin/users/{id}"),
    ("GET", "/v1/admin/users/{id}/sessions"),
    ("GET", "/v1/admin/users/{id}/auditEvents"),
    ("GET", "/v1/admin/auditEvents:export"),
    ("GET", "/v1/admin/deletions"),
    ("POST", "/v1/admin/users/{id}:disable"),
    ("POST", "/v1/admin/users/{id}:enable"),
    ("POST", "/v1/admin/users/{id}:endSessions"),
    ("POST", "/v1/admin/users/{id}:forcePasswordReset"),
    ("POST", "/v1/admin/users/{id}:setRole"),
];

#[tokio::test]
async fn the_first_user_governs_and_nobody_else_does() -> Result<()> {
    let platform = start_platform().await?;
    let ada = Client::register(&platform.edge_url(), "ada@example.com").await?;
    let bob = Client::register(&platform.edge_url(), "bob@example.com").await?;
    let made = ada.make_api_token("Program", &["bookmarks:read", "tasks:read"]).await?;
    let program = ada.with_token(made.text("token"));
    let id = bob.get("/v1/users/me").await?.text("id").to_owned();

    for (verb, route) in ROUTES {
        let path = route.replace("{id}", &id);
        let by_bob = call(&bob, verb, &path).await?;
        let by_program = call(&program, verb, &path).await?;
        let by_nobody = call(&Client::anonymous(&platform.edge_url()), verb, &path).await?;
        assert_eq!(
            (by_bob.status, by_bob.text("code")),
            (403, "PERMISSION_DENIED"),
            "{verb} {path}"
        );
        assert_eq!(
            (by_program.status, by_program.text("reason")),
            (403, "API_TOKEN_NOT_ALLOWED"),
            "{verb} {path}"
        );
        assert_eq!(by_nobody.status, 401, "{verb} {path}");
    }

    let users = ada.get("/v1/admin/users?emailPrefix=BOB").await?;
    assert_eq!(users.body["users"][0]["id"], id.as_str(), "{}", users.body);
    assert_eq!(users.body["users"][0]["role"], "USER");
    let disabled = call(&ada, "POST", &format!("/v1/admin/users/{id}:disable")).await?;
    assert_eq!(
        (disabled.status, disabled.text("state")),
        (200, "DISABLED"),
        "{}",
        disabled.body
    );
    let log_in = json!({"email": "bob@example.com", "password": PASSWORD});
    let refused = bob.post("/v1/sessions", &log_in).await?;
    assert_eq!(
        (refused.status, refused.text("reason")),
        (403, "ACCOUNT_DISABLED"),
        "{}",
        refused.body
    );
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn checklist_api3_and_15_3_3_what_a_user_may_not_set_is_refused_by_name() -> Result<()> {
    let platform = start_platform().await?;
    let ada = Client::register(&platform.edge_url(), "ada@example.com").await?;
    let fields = [
        ("role", json!("ADMIN")),
        ("id", json!("01890a5d-ac96-774b-bcce-b302099a8057")),
        ("createTime", json!("2020-01-01T00:00:00Z")),
        ("userId", json!("01890a5d-ac96-774b-bcce-b302099a8057")),
        ("passwordResetRequired", json!(false)),
    ];

    for (field, value) in fields {
        let mut user = json!({"email": format!("{field}@example.com"), "password": PASSWORD});
        user[field] = value.clone();
        let refused = ada.post("/v1/users", &user).await?;
        assert_eq!(refused.status, 400, "{field}: {}", refused.body);
        assert_eq!(refused.body["errors"][0]["field"], field, "{}", refused.body);
        let mut log_in = json!({"email": "ada@example.com", "password": PASSWORD});
        log_in[field] = value;
        let refused = ada.post("/v1/sessions", &log_in).await?;
        assert_eq!(refused.status, 400, "{field}: {}", refused.body);
    }

    let users = ada.get("/v1/admin/users").await?;
    assert_eq!(users.body["users"].as_array().map(Vec::len), Some(1), "{}", users.body);
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_audit_log_is_exported_as_lines() -> Result<()> {
    let platform = start_platform().await?;
    let ada = Client::register(&platform.edge_url(), "ada@example.com").await?;

    let request = ada.request(Method::GET, "/v1/admin/auditEvents:export");
    let request = request.header("accept", "application/x-ndjson");
    let text = request.send().await?.error_for_status()?.text().await?;

    let links: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).context("a line is JSON"))
        .collect::<Result<_>>()?;
    let numbers: Vec<&str> = links.iter().filter_map(|link| link["sequence"].as_str()).collect();
    assert_eq!(numbers, ["1", "2", "3"], "{text}");
    let actions: Vec<&Value> = links.iter().map(|link| &link["auditEvent"]["action"]).collect();
    assert_eq!(actions, ["USER_REGISTERED", "LOG_IN", "AUDIT_EVENTS_EXPORTED"]);
    assert!(
        links
            .iter()
            .all(|link| link["hash"].as_str().is_some_and(|hash| hash.len() == 44))
    );
    platform.stop().await;
    Ok(())
}

async fn call(client: &Client, verb: &str, path: &str) -> Result<Answer> {
    let request = client.request(verb.parse()?, path);
    let request = if verb == "POST" {
        request.json(&json!({}))
    } else {
        request
    };
    client.send(request).await
}
