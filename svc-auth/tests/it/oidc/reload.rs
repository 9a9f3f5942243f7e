//! Providers that change while the binary runs, and what it writes to its log meanwhile.

use std::{fs, process::Command, time::Duration};

use bookmesh_proto::auth::v1::{
    CompleteOidcLogInRequest, ListOidcProvidersRequest, StartOidcLogInRequest, oidc_service_client::OidcServiceClient,
};
use devstack::{fresh_database, shared};
use serde_json::json;
use service::client::channel;
use tempfile::TempDir;
use tonic::transport::Channel;

use super::{CLIENT_SECRET, Key, REDIRECT_URI, TestProvider, provider::Signature, visit, write_providers};
use crate::{
    app::{environment, new_keys},
    process::{binary, stop, text},
};

/// Asks until the providers are these.
async fn wait_for(client: &OidcServiceClient<Channel>, expected: &[&str]) {
    let mut told = Vec::new();
    for _ in 0..200 {
        if let Ok(answer) = client.clone().list_oidc_providers(ListOidcProvidersRequest {}).await {
            told = answer
                .into_inner()
                .oidc_providers
                .into_iter()
                .map(|provider| provider.id)
                .collect();
        }
        if told == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the providers are {told:?}, not {expected:?}");
}

/// Logs in, rightly or not; answers every secret that was seen.
async fn log_in(client: &OidcServiceClient<Channel>, id: &str, is_good: bool) -> Vec<String> {
    let mut client = client.clone();
    let request = StartOidcLogInRequest {
        provider_id: id.to_owned(),
        redirect_uri: REDIRECT_URI.to_owned(),
    };
    let attempt = client.start_oidc_log_in(request).await.unwrap().into_inner();
    let back = visit(&attempt.authorization_url).await;
    let mut secrets = vec![attempt.binding.clone(), back.state.clone(), back.code.clone()];
    let request = CompleteOidcLogInRequest {
        state: back.state,
        code: back.code,
        binding: attempt.binding,
        iss: back.iss,
    };
    let answer = client.complete_oidc_log_in(request).await;
    assert_eq!(answer.is_ok(), is_good, "{answer:?}");
    if let Ok(tokens) = answer {
        let tokens = tokens.into_inner();
        secrets.extend([tokens.access_token, tokens.refresh_token]);
    }
    secrets
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_provider_is_added_at_sighup_and_no_secret_is_logged() {
    let database = fresh_database("auth").await;
    svc_auth::migrate(&database.owner_url).await.unwrap();
    let (company, club) = (
        TestProvider::start(Key::es256()).await,
        TestProvider::start(Key::eddsa()).await,
    );
    company.sign_in(json!({"sub": "1", "email": "canary@example.com", "email_verified": true, "name": "Canary"}));
    let folder = TempDir::new().unwrap();
    let file = write_providers(folder.path(), &[("company", &company)]);
    let (keys, port) = (new_keys(), devstack::free_port());
    let process = binary()
        .envs(environment(&database, keys.path(), &shared().await.redis_url()))
        .env("AUTH_OIDC_PROVIDERS", &file)
        .env("AUTH_LISTEN", format!("127.0.0.1:{port}"))
        .env("BOOKMESH_LOG", "debug")
        .spawn()
        .unwrap();
    let client = OidcServiceClient::new(channel(&format!("http://127.0.0.1:{port}")).unwrap());

    wait_for(&client, &["company"]).await;
    let mut secrets = log_in(&client, "company", true).await;
    write_providers(folder.path(), &[("company", &company), ("club", &club)]);
    signal(process.id(), "HUP");
    wait_for(&client, &["company", "club"]).await;
    secrets.extend(log_in(&client, "club", true).await);
    company.sign_with(Signature::Broken);
    secrets.extend(log_in(&client, "company", false).await);
    stop(process.id());
    let output = tokio::task::spawn_blocking(|| process.wait_with_output())
        .await
        .unwrap()
        .unwrap();

    assert_eq!(output.status.code(), Some(0));
    // What a provider publishes outlives the reload.
    assert_eq!(company.calls(), [1, 1]);
    let logs = text(&output);
    assert!(logs.contains("user registered at an identity provider"), "{logs}");
    assert!(logs.contains("the id token is not good"), "{logs}");
    secrets.extend([CLIENT_SECRET, "canary@", "Canary", "eyJ"].map(str::to_owned));
    for secret in secrets {
        assert!(!logs.contains(&secret), "{secret} is in the logs");
    }
}

#[test]
fn a_file_of_providers_that_is_wrong_keeps_the_binary_from_starting() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("providers.toml");
    fs::write(&file, "[[provider]]\nid = 'company'").unwrap();

    let output = binary().env("AUTH_OIDC_PROVIDERS", &file).output().unwrap();

    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output).contains("AUTH_OIDC_PROVIDERS cannot be used: parsing"),
        "{}",
        text(&output)
    );
}
