//! What other services learn of ended sessions.

use std::time::Duration;

use bookmesh_proto::auth::v1::{ListEndedSessionsRequest, ListEndedSessionsResponse};
use prost_types::Timestamp;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::app::{EMAIL, PASSWORD, TestApp, reason, violations, with_token};

async fn ended(app: &TestApp, since: Option<Timestamp>) -> Result<ListEndedSessionsResponse, Status> {
    let (mut client, internal) = app.internal("svc-bookmarks");
    let request = internal.request(Uuid::nil(), ListEndedSessionsRequest { since }, Duration::from_secs(2));
    Ok(client.list_ended_sessions(request).await?.into_inner())
}

#[tokio::test]
async fn a_service_learns_which_sessions_have_ended_and_of_no_others() {
    let app = TestApp::start().await;
    let left = app.ada().await;
    app.log_in(EMAIL, PASSWORD).await.unwrap();
    app.log_out(&left.access_token).await.unwrap();

    let answer = ended(&app, None).await.unwrap();

    assert_eq!(answer.session_ids, [left.session.unwrap().id]);
}

#[tokio::test]
async fn asking_again_with_the_answers_time_misses_nothing() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    let before = ended(&app, None).await.unwrap();
    app.log_out(&tokens.access_token).await.unwrap();

    let after = ended(&app, before.until).await.unwrap();

    assert_eq!(before.session_ids, [""; 0]);
    assert_eq!(after.session_ids.len(), 1);
}

#[tokio::test]
async fn sessions_that_ended_before_any_living_token_are_left_out() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    app.log_out(&tokens.access_token).await.unwrap();
    app.run_as_admin("UPDATE sessions SET revoked_at = now() - interval '11 minutes'")
        .await;

    let answer = ended(&app, Some(Timestamp { seconds: 0, nanos: 0 })).await.unwrap();

    assert_eq!(answer.session_ids, [""; 0]);
}

#[tokio::test]
async fn users_and_unnamed_services_are_not_told() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    let (mut client, _) = app.internal("svc-bookmarks");

    let by_user = client
        .list_ended_sessions(with_token(
            ListEndedSessionsRequest { since: None },
            &tokens.access_token,
        ))
        .await;
    let (_, itself) = app.internal("svc-auth");
    let by_itself = client
        .list_ended_sessions(itself.request(
            Uuid::nil(),
            ListEndedSessionsRequest { since: None },
            Duration::from_secs(2),
        ))
        .await;

    assert_eq!(by_user.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(
        reason(by_itself),
        (Code::PermissionDenied, "CALLER_NOT_ALLOWED".to_owned())
    );
}

#[tokio::test]
async fn a_time_out_of_range_is_named() {
    let app = TestApp::start().await;

    let status = ended(
        &app,
        Some(Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
    )
    .await
    .unwrap_err();

    assert_eq!(violations(&status), ["since must be a moment from year 1 to 9999"]);
}
