//! API tokens as a user's programs use them: at the edge and at a service, while svc-auth is there and while it is not.

use std::time::Duration;

use anyhow::{Context, Result};
use bookmesh_proto::bookmarks::v1::{ListBookmarksRequest, bookmark_service_client::BookmarkServiceClient};
use devstack::platform::Platform;
use serde_json::json;
use system_tests::{Answer, Client, start_platform, start_platform_with};
use tokio::time::{sleep, timeout};
use tonic::{Code, Request, Status, transport::Channel};

const ROUTE: &str = "/v1/bookmarks";
/// An end counts everywhere within five seconds, and the machine may be busy with other tests.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_token_does_what_it_allows_until_it_is_revoked() -> Result<()> {
    let platform = start_platform().await?;
    let ada = Client::register(&platform.edge_url(), "ada@example.com").await?;
    let made = ada.make_api_token("Backup", &["bookmarks:read"]).await?;
    assert_eq!(made.status, 201, "{}", made.body);
    let program = ada.with_token(made.text("token"));
    ada.post(ROUTE, &json!({"url": "https://example.com/"})).await?;

    let read = program.get(ROUTE).await?;
    let written = program.post(ROUTE, &json!({"url": "https://example.com/2"})).await?;
    let identity = program.get("/v1/users/me").await?;
    let directly = list_directly(&platform, program.token()).await?;

    assert_eq!(
        (read.status, &read.body["totalSize"]),
        (200, &json!(1)),
        "{}",
        read.body
    );
    assert_eq!(read.header("ratelimit-policy"), "\"token-search\";q=1500;w=60");
    assert_refused(&written, 403, "INSUFFICIENT_SCOPE");
    assert!(written.header("www-authenticate").contains("scope=\"bookmarks:write\""));
    assert_refused(&identity, 403, "API_TOKEN_NOT_ALLOWED");
    assert_eq!(directly, 1);

    let id = made.text("id");
    assert_eq!(ada.delete(&format!("/v1/apiTokens/{id}")).await?.status, 204);
    let ended = async {
        while program.get(ROUTE).await?.status == 200 || list_directly(&platform, program.token()).await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    timeout(LIMIT, ended).await.context("it counts on")??;
    assert_refused(&program.get(ROUTE).await?, 401, "API_TOKEN_ENDED");
    let status = list_directly(&platform, program.token()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn while_svc_auth_is_away_tokens_in_use_count_on_and_others_are_told_to_wait() -> Result<()> {
    let platform = start_platform().await?;
    let ada = Client::register(&platform.edge_url(), "ada@example.com").await?;
    let used = ada.make_api_token("used", &["bookmarks:read"]).await?;
    let unused = ada.make_api_token("unused", &["bookmarks:read"]).await?;
    let (used, unused) = (ada.with_token(used.text("token")), ada.with_token(unused.text("token")));
    assert_eq!(used.get(ROUTE).await?.status, 200);

    platform.kill("svc-auth")?;

    assert_eq!(used.get(ROUTE).await?.status, 200);
    let refused = unused.get(ROUTE).await?;
    assert_eq!(refused.status, 503, "{}", refused.body);
    let status = list_directly(&platform, unused.token()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    platform.restart("svc-auth")?;
    let back = async {
        while unused.get(ROUTE).await?.status != 200 {
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    timeout(LIMIT, back).await.context("it does not count again")??;
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_flood_of_guesses_does_not_reach_svc_auth() -> Result<()> {
    let platform = start_platform().await?;
    let ada = Client::register(&platform.edge_url(), "ada@example.com").await?;
    let made = ada.make_api_token("Backup", &["bookmarks:read"]).await?;
    let token = made.text("token");
    let (begin, _) = token.split_at(token.len() - 4);

    for number in 0..50 {
        let guess = ada.with_token(&format!("{begin}{number:04}"));
        assert_refused(&guess.get(ROUTE).await?, 401, "TOKEN_INVALID");
    }
    assert_eq!(lookups(&platform).await?, "0");

    // The counter counts.
    assert_eq!(ada.with_token(token).get(ROUTE).await?.status, 200);
    assert_eq!(lookups(&platform).await?, "1");
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn each_token_has_limits_of_its_own() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = folder.path().join("settings.toml");
    std::fs::write(
        &settings,
        "[limits.token.search]\nquota = 1\nseconds = 3600\nburst = 2\n",
    )?;
    let platform = start_platform_with(&[("EDGE_SETTINGS", &settings.display().to_string())]).await?;
    let ada = Client::register(&platform.edge_url(), "ada@example.com").await?;
    let (one, other) = (program(&ada).await?, program(&ada).await?);

    for _ in 0..2 {
        assert_eq!(one.get(ROUTE).await?.status, 200);
    }
    let refused = one.get(ROUTE).await?;

    assert_refused(&refused, 429, "RATE_LIMITED");
    assert_eq!(refused.body["metadata"]["limit"], "token-search");
    assert_eq!(other.get(ROUTE).await?.status, 200, "another token");
    assert_eq!(ada.get(ROUTE).await?.status, 200, "and the user are not concerned");
    platform.stop().await;
    Ok(())
}

async fn program(user: &Client) -> Result<Client> {
    let made = user.make_api_token("Program", &["bookmarks:read"]).await?;
    Ok(user.with_token(made.text("token")))
}

fn assert_refused(answer: &Answer, status: u16, reason: &str) {
    assert_eq!(
        (answer.status, answer.text("reason")),
        (status, reason),
        "{}",
        answer.body
    );
}

/// How often the edge has asked svc-auth for an API token.
async fn lookups(platform: &Platform) -> Result<String> {
    let address = platform.admin_address("edge-gateway");
    let metrics = reqwest::get(format!("{address}/metrics")).await?.text().await?;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("identity_api_token_lookups_total "));
    Ok(line.context("the edge counts look-ups")?.to_owned())
}

async fn list_directly(platform: &Platform, token: &str) -> Result<i64, Status> {
    let address = platform.service_address("svc-bookmarks");
    let channel = Channel::from_shared(address)
        .map_err(|error| Status::internal(error.to_string()))?
        .connect_lazy();
    let mut request = Request::new(ListBookmarksRequest::default());
    let header = format!("Bearer {token}").parse().expect("a token is ASCII");
    request.metadata_mut().insert("authorization", header);
    let answer = BookmarkServiceClient::new(channel).list_bookmarks(request).await?;
    Ok(i64::from(answer.into_inner().total_size))
}
