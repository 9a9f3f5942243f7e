//! Logging in and out.

use std::time::{Duration, Instant};

use bookmesh_proto::auth::v1::CreateSessionRequest;
use tonic::{Code, Request};

use crate::app::{EMAIL, PASSWORD, TestApp, reason, violations};

#[tokio::test]
async fn checklist_6_3_8_an_unknown_address_gets_the_same_answer_as_a_wrong_password() {
    let app = TestApp::start().await;
    app.register(EMAIL, PASSWORD).await.unwrap();

    let wrong = app.log_in(EMAIL, "wrong horse battery").await.unwrap_err();
    for email in ["nobody@example.com", "no address", "nul\0@example.com"] {
        let unknown = app.log_in(email, PASSWORD).await.unwrap_err();

        assert_eq!(unknown.code(), wrong.code());
        assert_eq!(unknown.message(), wrong.message());
        assert_eq!(unknown.details(), wrong.details());
    }
    assert_eq!(
        reason::<()>(Err(wrong)),
        (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned())
    );
}

#[tokio::test]
async fn an_empty_field_and_a_password_of_many_bytes_are_named() {
    let app = TestApp::start().await;

    let no_email = app.log_in("", PASSWORD).await.unwrap_err();
    let no_password = app.log_in(EMAIL, "").await.unwrap_err();
    let long = app.log_in(EMAIL, &"x".repeat(1_025)).await.unwrap_err();

    assert_eq!(violations(&no_email), ["email must not be empty"]);
    assert_eq!(violations(&no_password), ["password must not be empty"]);
    assert_eq!(violations(&long), ["password must be at most 1,024 bytes long"]);
}

#[tokio::test]
async fn a_session_says_whose_it_is_how_long_it_lives_and_what_opened_it() {
    let app = TestApp::start().await;
    let user = app.register(EMAIL, PASSWORD).await.unwrap();
    let mut request = Request::new(CreateSessionRequest {
        email: EMAIL.to_owned(),
        password: PASSWORD.to_owned(),
        ..CreateSessionRequest::default()
    });
    let user_agent = format!("curl/8.5\t{}", "x".repeat(600));
    request
        .metadata_mut()
        .insert("x-user-agent", user_agent.parse().unwrap());

    let tokens = app.auth.clone().create_session(request).await.unwrap().into_inner();

    let session = tokens.session.unwrap();
    assert_eq!(session.user_id, user.id);
    assert!(session.user_agent.starts_with("curl/8.5xxx"));
    assert_eq!(session.user_agent.len(), 512);
    assert_eq!(tokens.expires_in, 300);
    let life = session.expire_time.unwrap().seconds - session.create_time.unwrap().seconds;
    assert_eq!(life, 90 * 24 * 3_600);
}

#[tokio::test]
async fn checklist_7_4_1_logging_out_ends_access_and_refreshing_at_once_and_only_for_this_session() {
    let app = TestApp::start().await;
    let here = app.ada().await;
    let there = app.log_in(EMAIL, PASSWORD).await.unwrap();
    app.me(&here.access_token).await.unwrap();

    app.log_out(&here.access_token).await.unwrap();

    let ended = (Code::Unauthenticated, "SESSION_ENDED".to_owned());
    assert_eq!(reason(app.me(&here.access_token).await), ended);
    assert_eq!(reason(app.refresh(&here.refresh_token).await), ended);
    app.me(&there.access_token).await.unwrap();
    app.refresh(&there.refresh_token).await.unwrap();
}

#[tokio::test]
async fn logging_out_again_is_no_error() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    app.log_out(&tokens.access_token).await.unwrap();

    app.log_out(&tokens.access_token).await.unwrap();
}

#[tokio::test]
async fn an_unknown_address_takes_about_as_long_as_a_wrong_password() {
    let app = TestApp::start().await;
    app.register(EMAIL, PASSWORD).await.unwrap();

    // By turns, and the fastest of each: what else this machine does slows both.
    let (mut known, mut unknown) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        known = known.min(time_of(&app, EMAIL).await);
        unknown = unknown.min(time_of(&app, "nobody@example.com").await);
    }

    // Without the decoy it would be a tenth.
    assert!(
        unknown * 3 > known,
        "{unknown:?} for an unknown address, {known:?} for a known one"
    );
}

async fn time_of(app: &TestApp, email: &str) -> Duration {
    let started = Instant::now();
    app.log_in(email, "wrong horse battery").await.unwrap_err();
    started.elapsed()
}
