//! What a token must be: at the edge, whoever comes without a good one gets 401 and is told how to ask.

use std::fs;

use anyhow::Result;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use devstack::platform::Platform;
use reqwest::Method;
use serde_json::{Value, json};
use service::{
    clock,
    identity::{ACCESS_AUDIENCE, ACCESS_ISSUER, ACCESS_TYPE, ServiceSigner},
    testing::{TEST_KEY_ID, TestIssuer},
};
use sqlx::{Connection, PgConnection};
use system_tests::{Answer, Client, start_platform};
use uuid::Uuid;

const ROUTE: &str = "/v1/bookmarks";
const USER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const ANOTHER_USER: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

#[tokio::test]
async fn checklist_9_2_a_users_route_answers_401_unless_the_token_is_good() -> Result<()> {
    let platform = start_platform().await?;
    let issuer = TestIssuer::new();
    publish(&platform, &issuer).await?;
    let anonymous = Client::anonymous(&platform.edge_url());
    let good = anonymous.with_token(&good_token(&issuer)).get(ROUTE).await?;
    assert_eq!(good.status, 200, "the key is trusted: {}", good.body);

    for (what, token) in bad_tokens(&issuer) {
        assert_refused(what, &anonymous.with_token(&token).get(ROUTE).await?);
    }
    for audience in ["edge-gateway", "svc-bookmarks"] {
        let service = anonymous.with_token(&service_token(&platform, audience)?);
        assert_refused("a service's token", &service.get(ROUTE).await?);
    }
    assert_refused("no token", &anonymous.get(ROUTE).await?);
    let basic = anonymous
        .request(Method::GET, ROUTE)
        .basic_auth("user", Some("password"));
    assert_refused("another scheme", &anonymous.send(basic).await?);
    platform.stop().await;
    Ok(())
}

fn assert_refused(what: &str, answer: &Answer) {
    assert_eq!(answer.status, 401, "{what}: {}", answer.body);
    assert!(
        answer.header("www-authenticate").starts_with("Bearer"),
        "{what}: {:?}",
        answer.headers
    );
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    assert_eq!(answer.text("code"), "UNAUTHENTICATED", "{what}: {}", answer.body);
}

/// Each differs in one thing from the good one.
fn bad_tokens(issuer: &TestIssuer) -> Vec<(&'static str, String)> {
    let now = clock::now().unix_timestamp();
    let good = good_token(issuer);
    let (signed, signature) = good.rsplit_once('.').expect("a token has three parts");
    let with_header = |name, value| issuer.sign(&with(header(), name, value), &claims().to_string());
    let with_claim = |name, value| issuer.sign(&header().to_string(), &with(claims(), name, value));
    let resigned = |header: String, claims: String| format!("{}.{}.{signature}", encode(header), encode(claims));
    let algorithm = |name: &str| resigned(with(header(), "alg", json!(name)), claims().to_string());
    vec![
        ("a token of another key", good_token(&TestIssuer::new())),
        ("an unknown key's name", with_header("kid", json!("unknown"))),
        ("an expired token", with_claim("exp", json!(now - 60))),
        ("a token that counts later", with_claim("nbf", json!(now + 600))),
        ("another audience", with_claim("aud", json!("svc-bookmarks"))),
        ("another issuer", with_claim("iss", json!("svc-import"))),
        ("another type", with_header("typ", json!("JWT"))),
        ("the type of a service's token", with_header("typ", json!("st+jwt"))),
        ("alg none", algorithm("none")),
        ("alg none without a signature", algorithm("none").replace(signature, "")),
        ("alg HS256", algorithm("HS256")),
        ("no signature", format!("{signed}.")),
        (
            "another user's claims",
            resigned(header().to_string(), with(claims(), "sub", json!(ANOTHER_USER))),
        ),
        ("what is no token", "nonsense".to_owned()),
    ]
}

/// A token of a service, signed with its own key, as services send each other.
fn service_token(platform: &Platform, audience: &str) -> Result<String> {
    let key = devstack::keys::private_key(&platform.folder().join("keys"), "svc-import");
    let signer = ServiceSigner::new("svc-import", &fs::read_to_string(key)?)?;
    Ok(signer.token(Uuid::try_parse(USER)?, audience, clock::now()).to_string())
}

fn good_token(issuer: &TestIssuer) -> String {
    issuer.sign(&header().to_string(), &claims().to_string())
}

fn header() -> Value {
    json!({"alg": "EdDSA", "typ": ACCESS_TYPE, "kid": TEST_KEY_ID})
}

fn claims() -> Value {
    let now = clock::now().unix_timestamp();
    json!({
        "iss": ACCESS_ISSUER, "aud": ACCESS_AUDIENCE, "sub": USER, "sid": USER,
        "iat": now, "nbf": now, "exp": now + 300,
    })
}

fn with(mut object: Value, name: &str, value: Value) -> String {
    object[name] = value;
    object.to_string()
}

fn encode(text: String) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// Makes svc-auth publish the issuer's key, as one that signs no more but whose tokens still count.
async fn publish(platform: &Platform, issuer: &TestIssuer) -> Result<()> {
    let public_key = BASE64_URL_SAFE_NO_PAD.decode(&issuer.jwks().keys[0].x)?;
    let mut connection = PgConnection::connect(&platform.stack().postgres_url("postgres")).await?;
    let past =
        "INSERT INTO auth.signing_keys (id, public_key, private_key_sealed, created_at, generation, activates_at)
                VALUES ($1, $2, '', now(), 0, now() - interval '1 minute')";
    sqlx::query(past)
        .bind(TEST_KEY_ID)
        .bind(public_key)
        .execute(&mut connection)
        .await?;
    // Both read keys when they start.
    for name in ["svc-auth", "edge-gateway", "svc-bookmarks"] {
        platform.stop_process(name)?;
        platform.restart(name)?;
    }
    Ok(())
}
