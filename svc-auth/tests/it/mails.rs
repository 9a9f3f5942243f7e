//! The queue of mails: nothing is lost, whatever happens to the mail server or to us.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use devstack::{free_port, fresh_database, shared};
use sqlx::{PgConnection, Row};

use crate::{
    app::{EMAIL, PASSWORD, TestApp, environment, new_keys},
    deletion::delete,
    mailbox::{MailServer, Manners},
};

fn by_smtp(port: u16) -> [(&'static str, String); 2] {
    [
        ("AUTH_MAIL_SMTP_URL", format!("smtp://127.0.0.1:{port}")),
        ("AUTH_MAIL_FROM", "Bookmesh <marks@example.com>".to_owned()),
    ]
}

async fn start_with_smtp(port: u16) -> TestApp {
    let variables = by_smtp(port);
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    TestApp::start_with(&variables).await
}

pub(crate) async fn waits(connection: &mut PgConnection, condition: &'static str) {
    while !sqlx::query(condition)
        .fetch_one(&mut *connection)
        .await
        .unwrap()
        .get::<bool, _>(0)
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_mail_is_handed_to_the_mail_server_with_its_token_and_its_content_is_forgotten() {
    let port = free_port();
    let server = MailServer::start(port, Manners::Takes).await;
    let app = start_with_smtp(port).await;

    app.register(EMAIL, PASSWORD).await.unwrap();

    let message = server.receive(1).await.remove(0);
    assert!(message.contains("From: Bookmesh <marks@example.com>\n"), "{message}");
    assert!(message.contains("To: ada@example.com\n"), "{message}");
    assert!(
        message.contains("Content-Type: text/plain; charset=utf-8\n"),
        "{message}"
    );
    waits(
        &mut app.admin().await,
        "SELECT done_at IS NOT NULL AND sealed IS NULL FROM mails",
    )
    .await;
}

#[tokio::test]
async fn mails_wait_while_the_mail_server_is_down_and_are_sent_when_it_is_back() {
    let port = free_port();
    let app = start_with_smtp(port).await;
    app.register(EMAIL, PASSWORD).await.unwrap();
    app.register("bob@example.com", PASSWORD).await.unwrap();
    let mut admin = app.admin().await;
    waits(
        &mut admin,
        "SELECT min(attempts) > 0 AND min(next_attempt_at) > now() FROM mails",
    )
    .await;

    let server = MailServer::start(port, Manners::Takes).await;

    server.receive(2).await;
    waits(&mut admin, "SELECT bool_and(done_at IS NOT NULL) FROM mails").await;
}

#[tokio::test]
async fn an_address_that_the_mail_server_refuses_for_good_is_not_tried_again() {
    let port = free_port();
    let server = MailServer::start(port, Manners::RefusesRecipients).await;
    let app = start_with_smtp(port).await;

    app.register(EMAIL, PASSWORD).await.unwrap();

    waits(
        &mut app.admin().await,
        "SELECT done_at IS NOT NULL AND attempts = 1 FROM mails",
    )
    .await;
    assert_eq!(*server.recipients.lock().unwrap(), 1);
}

#[tokio::test]
async fn what_is_put_off_by_a_clock_that_was_ahead_is_sent_and_what_is_too_old_is_not() {
    let port = free_port();
    let app = start_with_smtp(port).await;
    for email in [EMAIL, "bob@example.com"] {
        app.register(email, PASSWORD).await.unwrap();
    }
    let mut admin = app.admin().await;
    waits(
        &mut admin,
        "SELECT min(attempts) > 0 AND min(next_attempt_at) < now() + interval '50 s' FROM mails",
    )
    .await;
    app.run_as_admin(
        "UPDATE mails SET next_attempt_at = now() + interval '2 days';
         UPDATE mails SET ends_at = now() WHERE id = (SELECT id FROM mails ORDER BY id LIMIT 1)",
    )
    .await;

    let server = MailServer::start(port, Manners::Takes).await;

    waits(&mut admin, "SELECT bool_and(done_at IS NOT NULL) FROM mails").await;
    let messages = server.receive(1).await;
    assert_eq!(messages.len(), 1);
    assert!(messages[0].contains("To: bob@example.com\n"), "{}", messages[0]);
}

#[tokio::test]
async fn a_mail_outlives_a_process_that_is_killed_while_it_sends() {
    let database = fresh_database("auth").await;
    svc_auth::migrate(&database.owner_url).await.unwrap();
    let keys = std::sync::Arc::new(new_keys());
    let port = free_port();
    let hanging = MailServer::start(port, Manners::HangsAtRecipients).await;
    let pairs = environment(&database, keys.path(), &shared().await.redis_url());
    let grpc = free_port();
    let mut first = process(&pairs, grpc, port);
    let registered = register_when_ready(grpc).await;
    while *hanging.recipients.lock().unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    first.kill().unwrap();
    first.wait().unwrap();
    drop(hanging);

    // Its time to send is over.
    let app = TestApp::start_on(database, keys, &[]).await;
    app.run_as_admin("UPDATE mails SET next_attempt_at = now() WHERE done_at IS NULL")
        .await;
    assert_eq!(registered.email, EMAIL);
    assert_eq!(app.subjects_to(EMAIL).await, ["Confirm your address"]);
}

#[tokio::test]
async fn several_replicas_send_each_mail_once() {
    let port = free_port();
    let first = start_with_smtp(port).await;
    for index in 0..12 {
        first
            .register(&format!("user{index}@example.com"), PASSWORD)
            .await
            .unwrap();
    }
    let variables = by_smtp(port);
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let _second = first.beside(&variables).await;
    let mut admin = first.admin().await;
    waits(&mut admin, "SELECT min(attempts) > 0 FROM mails").await;

    let server = MailServer::start(port, Manners::Takes).await;
    first.run_as_admin("UPDATE mails SET next_attempt_at = now()").await;

    waits(&mut admin, "SELECT bool_and(done_at IS NOT NULL) FROM mails").await;
    assert_eq!(server.receive(12).await.len(), 12);
}

#[tokio::test]
async fn what_is_done_is_swept_after_an_hour_and_so_are_tokens_that_have_expired() {
    let app = TestApp::start().await;
    app.register(EMAIL, PASSWORD).await.unwrap();
    assert_eq!(app.mails_to(EMAIL).await.len(), 1);

    app.run_as_admin(
        "UPDATE mails SET created_at = created_at - interval '61 min';
         UPDATE mail_tokens SET expires_at = now()",
    )
    .await;

    let nothing_left = "SELECT (SELECT count(*) FROM mails) + (SELECT count(*) FROM mail_tokens) = 0";
    waits(&mut app.admin().await, nothing_left).await;
}

#[tokio::test]
async fn unusual_addresses_are_written_as_they_are_and_none_adds_a_header() {
    let app = TestApp::start().await;

    for email in ["\"a@b\"@example.com", "ada+tag@example.com", "a@localhost"] {
        app.register(email, PASSWORD).await.unwrap();

        assert_eq!(app.mails_to(email).await.len(), 1, "{email}");
    }
    let injected = "a@example.com\u{2028}Bcc:all@example.com";
    app.register(injected, PASSWORD).await.unwrap_err();
}

#[tokio::test]
async fn registering_and_deleting_in_turn_gets_an_address_no_more_mails_than_its_share() {
    let app = TestApp::start_with(&[("AUTH_MAILS_PER_HOUR", "2")]).await;

    for _ in 0..4 {
        let tokens = app.ada().await;
        delete(&app, &tokens.access_token, PASSWORD).await.unwrap();
    }

    assert_eq!(app.mails_to(EMAIL).await.len(), 2);
}

#[tokio::test]
async fn what_waits_for_a_user_who_is_deleted_loses_its_content_and_goes_on_counting() {
    let app = start_with_smtp(free_port()).await;
    let tokens = app.ada().await;
    let mut admin = app.admin().await;
    waits(&mut admin, "SELECT min(attempts) > 0 FROM mails").await;

    delete(&app, &tokens.access_token, PASSWORD).await.unwrap();

    let forgotten = "SELECT count(*) FROM mails WHERE user_id IS NULL AND sealed IS NULL AND done_at IS NOT NULL";
    let forgotten: i64 = sqlx::query_scalar(forgotten).fetch_one(&mut admin).await.unwrap();
    assert_eq!(forgotten, 1);
}

fn process(pairs: &[(String, String)], grpc: u16, smtp: u16) -> Child {
    Command::new(env!("CARGO_BIN_EXE_svc-auth"))
        .env_clear()
        .envs(pairs.iter().cloned())
        .envs(by_smtp(smtp))
        .env("AUTH_LISTEN", format!("127.0.0.1:{grpc}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn register_when_ready(grpc: u16) -> bookmesh_proto::auth::v1::User {
    use bookmesh_proto::auth::v1::{CreateUserRequest, auth_service_client::AuthServiceClient};
    let channel = service::client::channel(&format!("http://127.0.0.1:{grpc}")).unwrap();
    let request = CreateUserRequest {
        email: EMAIL.to_owned(),
        password: PASSWORD.to_owned(),
        display_name: String::new(),
        invitation_token: String::new(),
    };
    loop {
        match AuthServiceClient::new(channel.clone())
            .create_user(request.clone())
            .await
        {
            Ok(user) => return user.into_inner(),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
