//! The binary: its configuration, and that its logs hold no secrets.

use std::{
    process::{Command, Output, Stdio},
    time::Duration,
};

use bookmesh_proto::auth::v1::{
    CreateApiTokenRequest, CreateSessionRequest, CreateUserRequest, ListApiTokensRequest, RefreshSessionRequest,
    api_token_service_client::ApiTokenServiceClient, auth_service_client::AuthServiceClient,
};
use devstack::{fresh_database, shared};
use service::{client::channel, clock, time::to_proto};

use crate::{
    app::{EMAIL, PASSWORD, environment, new_keys, with_token},
    mailbox::{Mail, all_mails},
};

pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_svc-auth"));
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn text(output: &Output) -> String {
    let bytes = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn every_bad_variable_is_reported_at_once_with_exit_code_64() {
    let output = binary()
        .env("AUTH_LISTEN", "nowhere")
        .env("AUTH_DATABASE_MAX_CONNECTIONS", "many")
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(64));
    let text = text(&output);
    let variables = [
        "AUTH_LISTEN",
        "AUTH_ADMIN_LISTEN",
        "AUTH_DATABASE_URL",
        "AUTH_DATABASE_MAX_CONNECTIONS",
        "AUTH_MAIL_SMTP_URL",
        "AUTH_MASTER_KEY",
        "AUTH_PUBLIC_URL",
        "BOOKMESH_NATS_URL",
        "BOOKMESH_REDIS_URL",
        "BOOKMESH_SERVICE_KEYS",
    ];
    for variable in variables {
        assert!(text.contains(variable), "{variable} is missing in {text}");
    }
}

#[tokio::test]
async fn checklist_16_2_5_passwords_tokens_and_addresses_are_never_logged() {
    let database = fresh_database("auth").await;
    let migrated = binary()
        .arg("migrate")
        .env("AUTH_MIGRATION_DATABASE_URL", &database.owner_url)
        .output()
        .unwrap();
    assert!(migrated.status.success(), "{}", text(&migrated));
    let keys = new_keys();
    let port = devstack::free_port();
    let process = binary()
        .envs(environment(&database, keys.path(), &shared().await.redis_url()))
        .env("AUTH_LISTEN", format!("127.0.0.1:{port}"))
        .env("BOOKMESH_LOG", "debug")
        .spawn()
        .unwrap();

    let mut secrets = use_everything(&format!("http://127.0.0.1:{port}")).await;
    stop(process.id());
    // Not on this thread: our side of the connection has to answer the goodbye.
    let output = tokio::task::spawn_blocking(|| process.wait_with_output())
        .await
        .unwrap()
        .unwrap();

    assert_eq!(output.status.code(), Some(0));
    let logs = text(&output);
    assert!(logs.contains("session opened"), "{logs}");
    secrets.extend([PASSWORD.to_owned(), EMAIL.to_owned()]);
    let mails = all_mails(keys.path());
    assert!(!mails.is_empty());
    secrets.extend(mails.iter().map(Mail::token));
    for secret in secrets {
        assert!(!logs.contains(&secret), "{secret} is in the logs");
    }
}

/// Registers, logs in rightly and wrongly, makes an API token and shows it where none is taken, refreshes, replays, asks, logs out; answers the tokens that were seen.
async fn use_everything(address: &str) -> Vec<String> {
    let mut auth = AuthServiceClient::new(channel(address).unwrap());
    let user = CreateUserRequest {
        email: EMAIL.into(),
        password: PASSWORD.into(),
        display_name: String::new(),
        invitation_token: String::new(),
    };
    let mut registered = auth.create_user(user.clone()).await;
    for _ in 0..100 {
        if registered.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        registered = auth.create_user(user.clone()).await;
    }
    registered.unwrap();
    auth.create_user(user).await.unwrap_err();
    let wrong = CreateSessionRequest {
        email: EMAIL.into(),
        password: format!("{PASSWORD}!"),
        ..CreateSessionRequest::default()
    };
    auth.create_session(wrong).await.unwrap_err();
    let right = CreateSessionRequest {
        email: EMAIL.into(),
        password: PASSWORD.into(),
        ..CreateSessionRequest::default()
    };
    let first = auth.create_session(right).await.unwrap().into_inner();
    let mut seen = vec![use_an_api_token(address, &first.access_token).await];
    let mut refresh_token = first.refresh_token.clone();
    for _ in 0..2 {
        let tokens = auth
            .refresh_session(RefreshSessionRequest { refresh_token })
            .await
            .unwrap()
            .into_inner();
        seen.extend([tokens.access_token, tokens.refresh_token.clone()]);
        refresh_token = tokens.refresh_token;
    }
    let replay = RefreshSessionRequest {
        refresh_token: first.refresh_token.clone(),
    };
    auth.refresh_session(replay).await.unwrap_err();
    auth.delete_current_session(with_token(Default::default(), &first.access_token))
        .await
        .unwrap();
    seen.extend([first.access_token, first.refresh_token]);
    seen
}

async fn use_an_api_token(address: &str, access_token: &str) -> String {
    let request = CreateApiTokenRequest {
        name: "Backup".into(),
        scopes: vec!["bookmarks:read".into()],
        expire_time: Some(to_proto(clock::now() + time::Duration::DAY)),
    };
    let mut tokens = ApiTokenServiceClient::new(channel(address).unwrap());
    let made = tokens.create_api_token(with_token(request, access_token)).await;
    let made = made.unwrap().into_inner();
    let listing = with_token(ListApiTokensRequest::default(), &made.token);
    tokens.list_api_tokens(listing).await.unwrap_err();
    made.token
}

pub(crate) fn stop(pid: u32) {
    let status = Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap();
    assert!(status.success());
}
