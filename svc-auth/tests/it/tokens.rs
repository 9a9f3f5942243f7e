//! Access tokens: what they say, and which are none.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bookmesh_proto::auth::v1::{GetJwksRequest, Jwk};
use devstack::keys;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use service::identity::{ServiceKeys, ServiceSigner, Verifier};
use tonic::Code;

use crate::app::{EMAIL, PASSWORD, TestApp, reason};

async fn jwk(app: &TestApp) -> Jwk {
    let jwks = app.auth.clone().get_jwks(GetJwksRequest {}).await.unwrap().into_inner();
    let [jwk] = jwks.keys.try_into().unwrap();
    jwk
}

/// The claims of a token that the published key has signed.
pub(crate) async fn claims(app: &TestApp, token: &str) -> Value {
    let key = DecodingKey::from_ed_components(&jwk(app).await.x).unwrap();
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_audience(&["bookmesh"]);
    rules.set_issuer(&["bookmesh"]);
    jsonwebtoken::decode(token, &key, &rules).unwrap().claims
}

fn part(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

fn other_key() -> EncodingKey {
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
    EncodingKey::from_ed_der(pair.to_pkcs8().unwrap().as_ref())
}

#[tokio::test]
async fn the_published_key_verifies_access_tokens_and_they_say_what_they_should() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;

    let claims = claims(&app, &tokens.access_token).await;

    let session = tokens.session.unwrap();
    assert_eq!(claims["sub"], session.user_id);
    assert_eq!(claims["sid"], session.id);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    assert_eq!(claims["nbf"], claims["iat"]);
    assert_eq!(claims["auth_time"], session.create_time.unwrap().seconds);
    assert_eq!((&claims["gen"], &claims["amr"]), (&json!(1), &json!(["pwd"])));
    assert!(
        claims["scope"]
            .as_str()
            .unwrap()
            .split(' ')
            .any(|scope| scope == "bookmarks:write")
    );
    assert!(claims["jti"].is_string());
    let header = jsonwebtoken::decode_header(&tokens.access_token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(header.kid, Some(jwk(&app).await.kid));
}

#[tokio::test]
async fn a_refreshed_token_keeps_the_time_of_the_log_in() {
    let app = TestApp::start().await;
    let first = app.ada().await;
    app.run_as_admin("UPDATE sessions SET created_at = created_at - interval '1 hour'")
        .await;

    let second = app.refresh(&first.refresh_token).await.unwrap();

    let (before, after) = (
        claims(&app, &first.access_token).await,
        claims(&app, &second.access_token).await,
    );
    assert_eq!(
        before["auth_time"].as_i64().unwrap() - after["auth_time"].as_i64().unwrap(),
        3_600
    );
    assert_eq!(after["gen"], 2);
    assert_ne!(before["jti"], after["jti"]);
}

#[tokio::test]
async fn the_key_set_names_an_ed25519_signing_key() {
    let app = TestApp::start().await;

    let jwk = jwk(&app).await;

    assert_eq!(
        [jwk.kty, jwk.crv, jwk.alg, jwk.r#use],
        ["OKP", "Ed25519", "EdDSA", "sig"].map(str::to_owned)
    );
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(&jwk.x).unwrap().len(), 32);
}

#[tokio::test]
async fn tokens_that_we_did_not_sign_are_refused() {
    let app = TestApp::start().await;
    let good = app.ada().await.access_token;
    let claims = claims(&app, &good).await;
    let kid = jwk(&app).await.kid;
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let signed_by_another = {
        let header = Header {
            typ: Some("at+jwt".into()),
            kid: Some(kid.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        jsonwebtoken::encode(&header, &claims, &other_key()).unwrap()
    };
    let hmac_with_public_key = {
        let header = Header {
            typ: Some("at+jwt".into()),
            kid: Some(kid.clone()),
            ..Header::new(Algorithm::HS256)
        };
        let secret = BASE64_URL_SAFE_NO_PAD.decode(jwk(&app).await.x).unwrap();
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&secret)).unwrap()
    };
    let mut other_user = claims.clone();
    other_user["sub"] = json!(uuid::Uuid::now_v7());
    let forged = [
        format!(
            "{}.{payload}.",
            part(&json!({"alg": "none", "typ": "at+jwt", "kid": kid}))
        ),
        format!(
            "{}.{payload}.{signature}",
            part(&json!({"alg": "none", "typ": "at+jwt", "kid": kid}))
        ),
        format!("{header}.{}.{signature}", part(&other_user)),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        signed_by_another,
        hmac_with_public_key,
        "x".repeat(8_193),
        "not.a.token".to_owned(),
    ];

    for token in &forged {
        assert_eq!(
            reason(app.me(token).await),
            (Code::Unauthenticated, "TOKEN_INVALID".to_owned()),
            "{token}"
        );
    }
    app.me(&good).await.unwrap();
}

#[tokio::test]
async fn an_access_token_ends_with_its_session_and_then_counts_no_more() {
    let app = TestApp::start().await;
    let first = app.ada().await;
    app.run_as_admin("UPDATE sessions SET expires_at = now() + interval '2 seconds'")
        .await;

    let last = app.refresh(&first.refresh_token).await.unwrap();

    assert!(last.expires_in <= 2, "{last:?}");
    // Two seconds, and five of leeway for clocks that differ.
    tokio::time::sleep(Duration::from_millis(7_500)).await;
    assert_eq!(
        reason(app.me(&last.access_token).await),
        (Code::Unauthenticated, "TOKEN_EXPIRED".to_owned())
    );
}

#[tokio::test]
async fn replicas_that_start_together_agree_on_one_key() {
    let database = devstack::fresh_database("auth").await;
    svc_auth::migrate(&database.owner_url).await.unwrap();
    let keys = Arc::new(crate::app::new_keys());

    let replicas = (0..4).map(|_| TestApp::start_on(database.clone(), Arc::clone(&keys), &[]));
    let replicas = futures::future::join_all(replicas).await;

    let mut ids = Vec::new();
    for replica in &replicas {
        ids.push(jwk(replica).await.kid);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let tokens = replicas[0].ada().await;
    replicas[3].me(&tokens.access_token).await.unwrap();
}

fn remote_verifier(app: &TestApp) -> Verifier {
    let read = |path| std::fs::read_to_string(path).unwrap();
    let service_keys = ServiceKeys::from_json(&read(keys::public_keys(app.keys()))).unwrap();
    let signer = ServiceSigner::new("svc-bookmarks", &read(keys::private_key(app.keys(), "svc-bookmarks"))).unwrap();
    Verifier::remote("svc-bookmarks", &app.address, service_keys, signer).unwrap()
}

/// The clock cannot be set for a process, so the past of the keys is.
#[tokio::test]
async fn tokens_from_before_during_and_after_a_change_of_keys_count_everywhere() {
    let database = devstack::fresh_database("auth").await;
    svc_auth::migrate(&database.owner_url).await.unwrap();
    let keys = Arc::new(crate::app::new_keys());
    let replica = async || TestApp::start_on(database.clone(), Arc::clone(&keys), &[]).await;
    let one = replica().await;
    let before = one.ada().await.access_token;
    let early_bird = remote_verifier(&one);
    early_bird.verify(&before).await.unwrap();

    one.run_as_admin("UPDATE signing_keys SET activates_at = activates_at - interval '29 days 12 hours'")
        .await;
    let two = replica().await;
    let during = two.log_in(EMAIL, PASSWORD).await.unwrap().access_token;
    let fresh = remote_verifier(&two);
    fresh.verify(&during).await.unwrap();
    one.run_as_admin("UPDATE signing_keys SET activates_at = activates_at - interval '24 hours 5 minutes'")
        .await;
    let three = replica().await;
    let after = three.log_in(EMAIL, PASSWORD).await.unwrap().access_token;

    let key_of = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    assert_eq!(key_of(&before), key_of(&during));
    assert_ne!(key_of(&during), key_of(&after));
    for token in [&before, &during, &after] {
        // The first has read the keys before the new one was published.
        for app in [&one, &two, &three] {
            app.me(token).await.unwrap();
        }
        for verifier in [&fresh, &remote_verifier(&three)] {
            verifier.verify(token).await.unwrap();
        }
    }
}
