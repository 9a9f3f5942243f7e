//! Tokens that do not count, each for one reason.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use service::{clock, identity::Refusal, testing::TestIssuer};
use uuid::Uuid;

const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"test"}"#;

fn claims(change: impl FnOnce(&mut Value)) -> String {
    let now = clock::now().unix_timestamp();
    let mut claims = json!({
        "iss": "bookmesh", "aud": "bookmesh", "sub": Uuid::now_v7(), "sid": Uuid::now_v7(),
        "iat": now, "nbf": now, "exp": now + 60,
    });
    change(&mut claims);
    claims.to_string()
}

async fn verdict(issuer: &TestIssuer, token: &str) -> Result<(), Refusal> {
    issuer.verifier("svc-task").verify(token).await.map(|_| ())
}

async fn refusal_of(header: &str, claims: &str) -> Refusal {
    let issuer = TestIssuer::new();
    verdict(&issuer, &issuer.sign(header, claims)).await.unwrap_err()
}

#[tokio::test]
async fn a_good_token_counts_again_and_again() {
    let issuer = TestIssuer::new();
    let verifier = issuer.verifier("svc-task");
    let token = issuer.sign(HEADER, &claims(|_| {}));

    let first = verifier.verify(&token).await.unwrap();
    let second = verifier.verify(&token).await.unwrap();

    assert_eq!(first, second);
}

#[tokio::test]
async fn checklist_9_1_1_a_token_without_a_signature_is_refused() {
    let issuer = TestIssuer::new();
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt","kid":"test"}"#);
    let claims = URL_SAFE_NO_PAD.encode(claims(|_| {}));
    let good = issuer.access_token(Uuid::now_v7());
    let (unsigned, _) = good.rsplit_once('.').unwrap();

    for token in [
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{unsigned}."),
    ] {
        assert_eq!(verdict(&issuer, &token).await, Err(Refusal::Invalid), "{token}");
    }
}

#[tokio::test]
async fn checklist_9_1_2_the_public_key_is_no_shared_secret() {
    use aws_lc_rs::hmac;

    let issuer = TestIssuer::new();
    let public_key = URL_SAFE_NO_PAD.decode(&issuer.jwks().keys[0].x).unwrap();
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"at+jwt","kid":"test"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims(|_| {})));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public_key), signed.as_bytes());

    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));

    assert_eq!(verdict(&issuer, &token).await, Err(Refusal::Invalid));
}

#[tokio::test]
async fn a_token_of_another_issuer_is_refused() {
    let token = TestIssuer::new().access_token(Uuid::now_v7());

    assert_eq!(verdict(&TestIssuer::new(), &token).await, Err(Refusal::Invalid));
}

#[tokio::test]
async fn checklist_9_1_1_changed_claims_break_the_signature() {
    let issuer = TestIssuer::new();
    let token = issuer.access_token(Uuid::now_v7());
    let parts: Vec<&str> = token.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims(|_| {})), parts[2]);

    assert_eq!(verdict(&issuer, &forged).await, Err(Refusal::Invalid));
}

#[tokio::test]
async fn checklist_9_1_2_headers_that_name_another_key_type_or_rule_are_refused() {
    for header in [
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"other"}"#,
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"../../test"}"#,
        r#"{"alg":"EdDSA","typ":"at+jwt"}"#,
        r#"{"alg":"EdDSA","typ":"JWT","kid":"test"}"#,
        r#"{"alg":"EdDSA","typ":"st+jwt","kid":"test"}"#,
        r#"{"alg":"EdDSA","typ":"AT+JWT ","kid":"test"}"#,
        r#"{"alg":"EdDSA","kid":"test"}"#,
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"test","crit":["exp"]}"#,
        r#"{"alg":"EdDSA","alg":"EdDSA","typ":"at+jwt","kid":"test"}"#,
        r#"{"alg":"ES256","typ":"at+jwt","kid":"test"}"#,
    ] {
        assert_eq!(refusal_of(header, &claims(|_| {})).await, Refusal::Invalid, "{header}");
    }
}

#[tokio::test]
async fn checklist_9_1_3_a_key_inside_the_token_is_ignored() {
    let (issuer, stranger) = (TestIssuer::new(), TestIssuer::new());
    let x = &stranger.jwks().keys[0].x;
    let header = format!(
        r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"test","jku":"https://evil.example/keys",
            "jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#
    );

    let strangers = stranger.sign(&header, &claims(|_| {}));

    assert_eq!(verdict(&issuer, &strangers).await, Err(Refusal::Invalid));
}

#[tokio::test]
async fn checklist_9_2_1_a_token_counts_within_its_time_and_five_seconds_around_it() {
    let now = clock::now().unix_timestamp();
    let issuer = TestIssuer::new();
    let in_leeway = issuer.sign(HEADER, &claims(|claims| claims["exp"] = json!(now - 3)));
    let soon = issuer.sign(HEADER, &claims(|claims| claims["nbf"] = json!(now + 3)));

    assert_eq!(verdict(&issuer, &in_leeway).await, Ok(()));
    assert_eq!(verdict(&issuer, &soon).await, Ok(()));
    assert_eq!(
        refusal_of(HEADER, &claims(|claims| claims["exp"] = json!(now - 6))).await,
        Refusal::Expired
    );
    assert_eq!(
        refusal_of(HEADER, &claims(|claims| claims["nbf"] = json!(now + 60))).await,
        Refusal::Invalid
    );
}

#[tokio::test]
async fn a_remembered_token_ends_with_its_time() {
    let now = clock::now().unix_timestamp();
    let issuer = TestIssuer::new();
    let verifier = issuer.verifier("svc-task");
    let token = issuer.sign(HEADER, &claims(|claims| claims["exp"] = json!(now - 3)));
    verifier.verify(&token).await.unwrap();

    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;

    assert_eq!(verifier.verify(&token).await, Err(Refusal::Expired));
}

#[tokio::test]
async fn checklist_9_2_2_and_9_2_3_claims_of_the_wrong_shape_or_value_are_refused() {
    let now = clock::now().unix_timestamp();
    let changes: [(&str, Value); 13] = [
        ("exp", json!((now + 60).to_string())),
        ("exp", json!(now as f64 + 60.5)),
        ("exp", Value::Null),
        ("exp", json!(-1)),
        ("nbf", json!("0")),
        ("aud", json!("another")),
        ("aud", json!(["bookmesh"])),
        ("aud", Value::Null),
        ("iss", json!("another")),
        ("sub", json!("root")),
        ("sub", Value::Null),
        ("sid", Value::Null),
        ("scope", json!(["bookmarks:read"])),
    ];
    for (claim, value) in changes {
        let text = claims(|claims| claims[claim] = value.clone());

        let refusal = refusal_of(HEADER, &text).await;

        assert_eq!(refusal, Refusal::Invalid, "{claim}: {value}");
    }
}

#[tokio::test]
async fn checklist_9_1_1_a_claim_that_comes_twice_is_refused() {
    let good = claims(|_| {});
    let far = clock::now().unix_timestamp() + 999_999;
    for extra in [
        format!(r#""exp":{far}"#),
        format!(r#""sub":"{}""#, Uuid::now_v7()),
        r#""aud":"bookmesh""#.to_owned(),
    ] {
        let twice = format!("{},{extra}}}", good.trim_end_matches('}'));

        assert_eq!(refusal_of(HEADER, &twice).await, Refusal::Invalid, "{extra}");
    }
}

#[tokio::test]
async fn checklist_9_1_1_a_huge_token_is_refused_unread() {
    let padded = claims(|claims| claims["padding"] = json!("x".repeat(64 * 1024)));

    assert_eq!(refusal_of(HEADER, &padded).await, Refusal::Invalid);
}

#[tokio::test]
async fn what_is_no_token_at_all_is_refused() {
    let issuer = TestIssuer::new();

    for token in ["", ".", "..", "...", "a.b.c", "é.é.é", "bmk_live_0123456789"] {
        assert_eq!(verdict(&issuer, token).await, Err(Refusal::Invalid), "{token}");
    }
}

#[tokio::test]
async fn a_service_may_sign_for_itself_alone() {
    let issuer = TestIssuer::new();
    let now = clock::now().unix_timestamp();
    let header = r#"{"alg":"EdDSA","typ":"st+jwt","kid":"svc-import"}"#;
    let claims = json!({"iss": "svc-enrich", "sub": Uuid::now_v7(), "aud": "svc-task", "exp": now + 60});

    let token = issuer.sign(header, &claims.to_string());

    assert_eq!(verdict(&issuer, &token).await, Err(Refusal::Invalid));
}
