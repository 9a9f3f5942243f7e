//! Who gets in.

use serde_json::json;
use service::testing::TestIssuer;
use uuid::Uuid;

use crate::app::{App, problem};

async fn refused(app: &App, authorization: Option<String>) -> (String, String) {
    let mut request = app.get("/v1/books/7");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 401);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let problem = problem(response).await;
    assert_eq!(problem["code"], "UNAUTHENTICATED");
    (challenge, problem["reason"].as_str().unwrap().to_owned())
}

fn claims(expires: i64) -> String {
    let user = Uuid::now_v7();
    json!({"iss": "bookmesh", "aud": "bookmesh", "sub": user, "sid": user, "iat": 1, "nbf": 1, "exp": expires})
        .to_string()
}

#[tokio::test]
async fn without_a_token_the_challenge_names_no_error() {
    let app = App::start().await;

    for authorization in [
        None,
        Some("Basic abc".to_owned()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
    ] {
        assert_eq!(
            refused(&app, authorization).await,
            ("Bearer".to_owned(), "TOKEN_MISSING".to_owned())
        );
    }
}

#[tokio::test]
async fn tokens_that_are_not_ours_are_invalid() {
    let app = App::start().await;
    let user = Uuid::now_v7();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0Iiwia2lkIjoidGVzdCJ9.e30.";
    let good = app.issuer.access_token(user);

    for token in [
        TestIssuer::new().access_token(user),
        none.to_owned(),
        format!("{good}x"),
        "nonsense".to_owned(),
        app.issuer.service_token("svc-import", user, "edge-gateway"),
        // Longer than services take.
        format!("{}{good}", " ".repeat(10_000)),
    ] {
        let (challenge, reason) = refused(&app, Some(format!("Bearer {token}"))).await;
        assert_eq!(reason, "TOKEN_INVALID", "{token}");
        assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");
    }
}

#[tokio::test]
async fn an_expired_token_and_one_of_an_ended_session_say_so() {
    let app = App::start().await;
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": service::testing::TEST_KEY_ID}).to_string();
    let expired = app.issuer.sign(&header, &claims(1_000_000_000));

    assert_eq!(
        refused(&app, Some(format!("Bearer {expired}"))).await.1,
        "TOKEN_EXPIRED"
    );

    let session = Uuid::now_v7();
    let token = app.issuer.access_token_of(Uuid::now_v7(), session);
    assert_eq!(
        app.get("/v1/books/7")
            .bearer_auth(&token)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    app.issuer.end_session(session);
    assert_eq!(refused(&app, Some(format!("Bearer {token}"))).await.1, "SESSION_ENDED");
}

#[tokio::test]
async fn a_token_without_the_scope_is_forbidden() {
    let app = App::start().await;
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": service::testing::TEST_KEY_ID}).to_string();
    let with_scope = |scope: &str| {
        let mut claims: serde_json::Value = serde_json::from_str(&claims(4_000_000_000)).unwrap();
        claims["scope"] = json!(scope);
        app.issuer.sign(&header, &claims.to_string())
    };

    let right = app
        .get("/v1/books/7")
        .bearer_auth(with_scope("x books:read"))
        .send()
        .await
        .unwrap();
    assert_eq!(right.status(), 200);
    let wrong = app
        .get("/v1/books/7")
        .bearer_auth(with_scope("tags:read"))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 403);
    let challenge = wrong.headers()["www-authenticate"].to_str().unwrap();
    assert_eq!(challenge, "Bearer error=\"insufficient_scope\", scope=\"books:read\"");
}

#[tokio::test]
async fn a_public_call_takes_no_notice_of_a_bad_token() {
    let app = App::start().await;

    let response = app.get("/v1/books").bearer_auth("nonsense").send().await.unwrap();

    assert_eq!(response.status(), 200);
}
