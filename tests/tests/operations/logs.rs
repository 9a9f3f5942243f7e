//! Logs: one trace through all processes, JSON on every line, and no secrets.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use devstack::platform::{PROGRAMS, Platform};
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Client, Export, ExportShape, PASSWORD, start_platform_with};
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(30);
const SHAPE: ExportShape = ExportShape {
    bookmarks: 200,
    folders: 5,
};
// Everything that is not kept quiet on purpose: most of the way of a request is told at this level.
const TALKATIVE: [(&str, &str); 1] = [("BOOKMESH_LOG", "debug")];

/// The message of a line that a caller tries to have written.
const FORGED: &str = "everything is fine";

#[tokio::test]
async fn one_trace_follows_an_import_through_every_process() -> Result<()> {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let platform = start_platform_with(&TALKATIVE).await?;
    let client = Client::register(&platform.edge_url(), "traced@example.com").await?;

    let request = client
        .request(Method::POST, "/v1/imports")
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .header("content-type", "text/html")
        .body(Export::generate("traced", SHAPE).html);
    let answer = client.send(request).await?;

    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.header("traceparent").get(3..35), Some(TRACE));
    for name in ["edge-gateway", "svc-import", "svc-task", "svc-bookmarks", "svc-enrich"] {
        assert_appears(&platform, name, TRACE).await?;
    }
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn checklist_14_2_1_and_16_2_5_and_16_4_1_logs_are_json_lines_without_secrets() -> Result<()> {
    let platform = start_platform_with(&TALKATIVE).await?;
    let secrets = walk_through(&platform.edge_url()).await?;

    for program in PROGRAMS {
        let log = log(&platform, program.name)?;
        assert!(log.lines().count() > 1, "{} has said nothing", program.name);
        for line in log.lines() {
            let parsed: Value = serde_json::from_str(line).with_context(|| format!("{} wrote {line}", program.name))?;
            for field in ["timestamp", "level", "target"] {
                assert!(parsed[field].is_string(), "{field} of {line}");
            }
            assert_eq!(parsed["service"], program.name, "{line}");
            assert!(!line.contains('\u{1b}'), "no terminal obeys {line:?}");
            assert_ne!(parsed["message"], FORGED, "a caller wrote {line}");
            let leaked = secrets.iter().find(|secret| line.contains(*secret));
            assert_eq!(leaked, None, "{} wrote {line}", program.name);
        }
    }
    platform.stop().await;
    Ok(())
}

/// Does what users do, mistakes too; answers everything of theirs that no log may hold.
async fn walk_through(edge: &str) -> Result<Vec<String>> {
    const ADDRESS: &str = "someone.private";
    const MISTYPED: &str = "mistyped on a bad day";
    let email = format!("{ADDRESS}@example.com");
    let credentials = |password: &str| json!({"email": email, "password": password});
    let anonymous = Client::anonymous(edge);
    let first = Client::register(edge, &email).await?;
    let session = anonymous.post("/v1/sessions", &credentials(PASSWORD)).await?;
    let refresh = json!({"refreshToken": session.text("refreshToken")});
    let refreshed = anonymous.post("/v1/sessions:refresh", &refresh).await?;
    let client = anonymous.with_token(refreshed.text("accessToken"));
    import(&client).await?;
    forge_lines(&client).await?;
    client.delete("/v1/sessions/current").await?;

    let twice = json!({"email": email, "password": PASSWORD, "displayName": "Again"});
    let misspelt = json!({"email": email, "pasword": MISTYPED});
    let refusals = [
        anonymous.post("/v1/sessions", &credentials(MISTYPED)).await?.status,
        anonymous.post("/v1/sessions", &misspelt).await?.status,
        anonymous.post("/v1/users", &twice).await?.status,
        anonymous.post("/v1/sessions:refresh", &refresh).await?.status,
    ];
    assert_eq!(refusals, [401, 400, 409, 401]);

    let mut secrets = [ADDRESS, PASSWORD, MISTYPED, first.token()].map(str::to_owned).to_vec();
    for answer in [session, refreshed] {
        assert_eq!(answer.status, 200, "{}", answer.body);
        secrets.extend(["accessToken", "refreshToken"].map(|field| answer.text(field).to_owned()));
    }
    Ok(secrets)
}

/// Wherever a caller's own text may be logged: checklist 16.4.1.
async fn forge_lines(client: &Client) -> Result<()> {
    let line = format!("\r\n{{\"level\":\"ERROR\",\"message\":\"{FORGED}\"}}\r\n\u{1b}[31m");
    client
        .post("/v1/bookmarks", &json!({"url": "https://example.com/", "title": line}))
        .await?;
    client.post("/v1/bookmarks", &json!({"url": line})).await?;
    client
        .post("/v1/sessions", &json!({"email": line, "password": line}))
        .await?;
    let encoded: String = line.bytes().map(|byte| format!("%{byte:02x}")).collect();
    client
        .get(&format!("/v1/bookmarks/{encoded}?{encoded}={encoded}"))
        .await?;
    client.get(&format!("/nowhere/{encoded}")).await?;
    Ok(())
}

async fn import(client: &Client) -> Result<()> {
    let import = client.upload(Export::generate("private", SHAPE).html).await?;
    let id = import["id"].as_str().unwrap_or_default();
    let completed = |import: &Value| import["state"] == "COMPLETED";
    client.wait_for_import(id, LIMIT, completed).await.map(drop)
}

async fn assert_appears(platform: &Platform, name: &str, text: &str) -> Result<()> {
    let start = Instant::now();
    while !log(platform, name)?.contains(text) {
        assert!(start.elapsed() < LIMIT, "{text} is not in the log of {name}");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn log(platform: &Platform, name: &str) -> Result<String> {
    let path = platform.folder().join("log").join(format!("{name}.log"));
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}
