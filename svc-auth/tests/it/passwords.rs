//! Which passwords are taken, and changing one.

use std::time::Duration;

use bookmesh_proto::auth::v1::{ChangePasswordRequest, CreateSessionRequest, ListEndedSessionsRequest};
use sqlx::{Connection, PgConnection};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::app::{EMAIL, PASSWORD, TestApp, reason, violations, with_token};

const NEW_PASSWORD: &str = "parsnip gravel oboe";

async fn change(app: &TestApp, token: &str, current: &str, new: &str) -> Result<(), Status> {
    let request = ChangePasswordRequest {
        current_password: current.to_owned(),
        new_password: new.to_owned(),
    };
    app.auth
        .clone()
        .change_password(with_token(request, token))
        .await
        .map(drop)
}

fn ended() -> (Code, String) {
    (Code::Unauthenticated, "SESSION_ENDED".to_owned())
}

fn refused() -> (Code, String) {
    (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned())
}

#[tokio::test]
async fn checklist_6_2_4_a_password_that_everybody_tries_is_refused_at_registration_with_its_reason() {
    let app = TestApp::start().await;

    for password in [
        "passwordpassword",
        "Password1234567!",
        "1234567890qwerty",
        "QWERTYUIOPASDFGHJKL",
    ] {
        let status = app.register(EMAIL, password).await.unwrap_err();

        assert_eq!(violations(&status), ["password must not be one that everybody tries"]);
        assert_eq!(
            reason::<()>(Err(status)),
            (Code::InvalidArgument, "PASSWORD_BREACHED".to_owned()),
            "{password}"
        );
    }
    app.register(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_changed_password_is_the_only_one_that_counts() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;

    change(&app, &tokens.access_token, PASSWORD, NEW_PASSWORD)
        .await
        .unwrap();

    assert_eq!(reason(app.log_in(EMAIL, PASSWORD).await), refused());
    app.log_in(EMAIL, NEW_PASSWORD).await.unwrap();
}

#[tokio::test]
async fn checklist_7_4_3_changing_a_password_ends_every_other_session_of_the_user_and_no_one_elses() {
    let app = TestApp::start().await;
    let here = app.ada().await;
    let there = app.log_in(EMAIL, PASSWORD).await.unwrap();
    app.me(&there.access_token).await.unwrap();
    app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = app.log_in("bob@example.com", PASSWORD).await.unwrap();

    change(&app, &here.access_token, PASSWORD, NEW_PASSWORD).await.unwrap();

    assert_eq!(reason(app.me(&there.access_token).await), ended());
    assert_eq!(reason(app.refresh(&there.refresh_token).await), ended());
    app.me(&here.access_token).await.unwrap();
    app.refresh(&here.refresh_token).await.unwrap();
    app.me(&bob.access_token).await.unwrap();
    // What other processes ask every two seconds.
    let (mut client, internal) = app.internal("svc-bookmarks");
    let request = ListEndedSessionsRequest { since: None };
    let request = internal.request(Uuid::nil(), request, Duration::from_secs(2));
    let told = client.list_ended_sessions(request).await.unwrap().into_inner();
    assert_eq!(told.session_ids, [there.session.unwrap().id]);
}

#[tokio::test]
async fn without_the_current_password_nothing_changes() {
    let app = TestApp::start().await;
    let here = app.ada().await;
    let there = app.log_in(EMAIL, PASSWORD).await.unwrap();

    let status = change(&app, &here.access_token, "wrong horse battery", NEW_PASSWORD)
        .await
        .unwrap_err();

    assert_eq!(
        violations(&status),
        ["current_password must be the password of this account"]
    );
    assert_eq!(
        reason::<()>(Err(status)),
        (Code::InvalidArgument, "WRONG_PASSWORD".to_owned())
    );
    app.me(&there.access_token).await.unwrap();
    app.log_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_new_password_keeps_the_rules_and_is_new() {
    let app = TestApp::start().await;
    let token = app.ada().await.access_token;

    let empty = change(&app, &token, "", "").await.unwrap_err();
    let long = change(&app, &token, PASSWORD, &"x".repeat(1_025)).await.unwrap_err();
    let same = change(&app, &token, PASSWORD, PASSWORD).await.unwrap_err();
    let breached = change(&app, &token, PASSWORD, "passwordpassword").await;

    assert_eq!(
        violations(&empty),
        ["current_password must not be empty", "new_password must not be empty"]
    );
    assert_eq!(violations(&long), ["new_password must be at most 1,024 bytes long"]);
    assert_eq!(violations(&same), ["new_password must not be the current one"]);
    assert_eq!(
        reason(breached),
        (Code::InvalidArgument, "PASSWORD_BREACHED".to_owned())
    );
    app.log_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn an_ended_session_changes_no_password() {
    let app = TestApp::start().await;
    let stolen = app.ada().await;
    app.me(&stolen.access_token).await.unwrap();
    // Past Redis, which still says that it is live.
    app.run_as_admin("UPDATE sessions SET revoked_at = now(), revoked_reason = 'ended'")
        .await;

    let changed = change(&app, &stolen.access_token, PASSWORD, NEW_PASSWORD).await;

    assert_eq!(reason(changed), ended());
    app.log_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn of_two_changes_at_once_one_counts() {
    let app = TestApp::start().await;
    let token = app.ada().await.access_token;

    let (first, second) = tokio::join!(
        change(&app, &token, PASSWORD, "the first to be stored"),
        change(&app, &token, PASSWORD, "the second to be stored"),
    );

    assert_eq!(u8::from(first.is_ok()) + u8::from(second.is_ok()), 1);
    let (right, wrong) = match first {
        Ok(()) => ("the first to be stored", "the second to be stored"),
        Err(_) => ("the second to be stored", "the first to be stored"),
    };
    app.log_in(EMAIL, right).await.unwrap();
    assert_eq!(reason(app.log_in(EMAIL, wrong).await), refused());
}

#[tokio::test]
async fn a_log_in_that_began_with_the_old_password_opens_no_session_after_the_change() {
    let app = TestApp::start().await;
    app.register(EMAIL, PASSWORD).await.unwrap();
    let mut admin = app.admin().await;
    let mut change = admin.begin().await.unwrap();
    sqlx::query("UPDATE users SET password_version = password_version + 1")
        .execute(&mut *change)
        .await
        .unwrap();

    let mut auth = app.auth.clone();
    let log_in = tokio::spawn(async move { auth.create_session(log_in_request()).await });
    let mut watching = app.admin().await;
    while !log_in.is_finished() && !somebody_waits_for_a_lock(&mut watching).await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    change.commit().await.unwrap();

    assert_eq!(reason(log_in.await.unwrap()), refused());
}

fn log_in_request() -> CreateSessionRequest {
    CreateSessionRequest {
        email: EMAIL.to_owned(),
        password: PASSWORD.to_owned(),
        ..CreateSessionRequest::default()
    }
}

async fn somebody_waits_for_a_lock(connection: &mut PgConnection) -> bool {
    let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity
                                  WHERE datname = current_database() AND wait_event_type = 'Lock')";
    sqlx::query_scalar(waiting).fetch_one(connection).await.unwrap()
}
