//! Providers that do not answer as they should.

use serde_json::json;
use tempfile::TempDir;
use tonic::Code;
use tonic_types::StatusExt;

use super::{
    Fault, Key, OidcServiceClient, Setup, StartOidcLogInRequest, TestProvider, channel, visit, write_providers,
};
use crate::{
    app::{TestApp, reason},
    oidc::REDIRECT_URI,
};

const FAULTS: [Fault; 6] = [
    Fault::Error,
    Fault::Html,
    Fault::Huge,
    Fault::Redirect,
    Fault::Nonsense,
    Fault::Slow,
];

fn unavailable() -> (Code, String) {
    (Code::Unavailable, "OIDC_PROVIDER_UNAVAILABLE".to_owned())
}

#[tokio::test]
async fn a_provider_whose_discovery_is_broken_says_when_to_try_again_and_harms_nobody_else() {
    let folder = TempDir::new().unwrap();
    let good = TestProvider::start(Key::eddsa()).await;
    let mut broken = Vec::new();
    for fault in FAULTS {
        let provider = TestProvider::start(Key::eddsa()).await;
        provider.break_with("discovery", fault);
        broken.push((format!("{fault:?}").to_lowercase(), provider));
    }
    let mut providers: Vec<(&str, &TestProvider)> =
        broken.iter().map(|(id, provider)| (id.as_str(), provider)).collect();
    providers.push(("good", &good));
    let file = write_providers(folder.path(), &providers);
    let app = TestApp::start_with(&[("AUTH_OIDC_PROVIDERS", &file)]).await;
    let client = OidcServiceClient::new(channel(&app.address).unwrap());
    let start = async |id: &str| {
        let request = StartOidcLogInRequest {
            provider_id: id.to_owned(),
            redirect_uri: REDIRECT_URI.to_owned(),
        };
        client.clone().start_oidc_log_in(request).await
    };

    for (id, provider) in &broken {
        let status = start(id).await.unwrap_err();
        assert!(status.get_details_retry_info().is_some(), "{id}");
        assert_eq!(reason(Err::<(), _>(status)), unavailable(), "{id}");
        // The next one does not wait for it.
        assert_eq!(reason(start(id).await), unavailable(), "{id}");
        assert_eq!(provider.calls()[0], 1, "{id}");
        start("good").await.unwrap();
    }
}

#[tokio::test]
async fn a_broken_token_endpoint_opens_nothing_and_is_usable_again_at_once() {
    let setup = Setup::start().await;
    for fault in FAULTS {
        setup.company.break_with("token", fault);
        assert_eq!(reason(setup.log_in("company").await), unavailable(), "{fault:?}");
    }

    setup.company.mend("token");

    setup.log_in("company").await.unwrap();
}

#[tokio::test]
async fn broken_keys_open_nothing() {
    for fault in FAULTS {
        let setup = Setup::start().await;
        setup.company.break_with("keys", fault);

        assert_eq!(reason(setup.log_in("company").await), unavailable(), "{fault:?}");
        setup.log_in("club").await.unwrap();
    }
}

#[tokio::test]
async fn a_provider_that_is_gone_is_told_and_the_other_one_goes_on() {
    let setup = Setup::start().await;
    let attempt = setup.begin("company").await.unwrap();
    let back = visit(&attempt.authorization_url).await;
    setup.company.stop();

    assert_eq!(reason(setup.complete(&attempt, &back).await), unavailable());
    setup.log_in("club").await.unwrap();
    // What it published is still known.
    setup.begin("company").await.unwrap();
}

#[tokio::test]
async fn metadata_of_another_issuer_or_with_unsafe_addresses_is_refused() {
    let wrong = [
        ("issuer", "http://127.0.0.1:1/realm"),
        ("token_endpoint", "http://example.com/token"),
        ("jwks_uri", "http://10.0.0.1/keys"),
        ("authorization_endpoint", "javascript:alert(1)"),
        ("token_endpoint", "not an address"),
    ];
    for (name, value) in wrong {
        let setup = Setup::start().await;
        setup
            .company
            .change_metadata(move |metadata| metadata[name] = json!(value));

        assert_eq!(reason(setup.begin("company").await), unavailable(), "{name} {value}");
    }
}
