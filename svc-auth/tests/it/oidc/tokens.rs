//! Id tokens that prove nothing, and keys that change.

use serde_json::{Value, json};

use super::{Key, Setup, failed, provider::Signature};
use crate::app::reason;

fn now() -> i64 {
    service::clock::now().unix_timestamp()
}

#[tokio::test]
async fn checklist_6_8_2_only_a_signature_by_the_providers_key_counts() {
    let signatures = [
        Signature::None,
        Signature::PublicKeyAsSecret,
        Signature::ClientSecret,
        Signature::Broken,
    ];
    for key in [Key::es256(), Key::rs256(), Key::eddsa()] {
        let setup = Setup::start().await;
        setup.company.rotate(key);
        for signature in signatures {
            setup.company.sign_with(signature);
            assert_eq!(reason(setup.log_in("company").await), failed(), "{signature:?}");
        }
        setup.company.sign_with(Signature::Right);
        setup.log_in("company").await.unwrap();
    }
}

#[tokio::test]
async fn claims_that_were_meant_for_something_else_are_refused() {
    let setup = Setup::start().await;
    let club_issuer = setup.club.issuer.clone();
    let wrong: [(&'static str, Value); 14] = [
        ("nonce", json!("another")),
        ("nonce", json!(null)),
        ("aud", json!("another client")),
        ("aud", json!(["bookmesh", "another client"])),
        ("aud", json!([])),
        ("azp", json!("another client")),
        ("iss", json!(club_issuer)),
        ("iss", json!("")),
        ("exp", json!(now() - 120)),
        ("iat", json!(now() - 3_600)),
        ("iat", json!(now() + 3_600)),
        ("sub", json!("")),
        ("sub", json!("x".repeat(256))),
        ("exp", json!(0)),
    ];

    for (claim, value) in wrong {
        let shown = value.to_string();
        setup.company.change_claims(move |claims| claims[claim] = value.clone());
        let (_, refused) = reason(setup.log_in("company").await);
        let expected = match shown.as_str() {
            // No address at all: the whole answer is not what it should be.
            "\"\"" if claim == "iss" => "OIDC_PROVIDER_UNAVAILABLE",
            _ => "OIDC_LOG_IN_FAILED",
        };
        assert_eq!(refused, expected, "{claim} {shown}");
    }

    setup.company.change_claims(|_| ());
    setup.log_in("company").await.unwrap();
}

#[tokio::test]
async fn a_token_of_the_other_provider_is_refused() {
    let setup = Setup::start().await;
    // The company signs what it likes, but not with the club's key.
    let club_issuer = setup.club.issuer.clone();
    setup
        .company
        .change_claims(move |claims| claims["iss"] = json!(club_issuer));

    assert_eq!(reason(setup.log_in("company").await), failed());
    setup.log_in("club").await.unwrap();
}

#[tokio::test]
async fn a_new_key_of_the_provider_is_found_and_the_old_one_no_longer_counts() {
    let setup = Setup::start().await;
    setup.log_in("company").await.unwrap();
    assert_eq!(setup.company.calls(), [1, 1]);

    setup.company.rotate(Key::rs256());

    setup.log_in("company").await.unwrap();
    setup.log_in("company").await.unwrap();
    assert_eq!(setup.company.calls(), [1, 2]);
}

#[tokio::test]
async fn a_key_that_is_not_published_is_looked_for_once_a_log_in() {
    let setup = Setup::start().await;
    setup.company.change_claims(|_| ());
    setup.log_in("company").await.unwrap();

    setup.company.sign_with_unpublished_key();

    assert_eq!(reason(setup.log_in("company").await), failed());
    assert_eq!(setup.company.calls(), [1, 2]);
}
