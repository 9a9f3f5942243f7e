//! Refreshing: rotation, lost answers, reuse.

use bookmesh_proto::auth::v1::{Session, SessionTokens};
use sqlx::Row;
use tonic::Code;

use crate::app::{TestApp, reason, violations};

fn invalid() -> (Code, String) {
    (Code::Unauthenticated, "INVALID_REFRESH_TOKEN".to_owned())
}

#[tokio::test]
async fn a_refresh_answers_new_tokens_of_the_same_session() {
    let app = TestApp::start().await;
    let first = app.ada().await;

    let second = app.refresh(&first.refresh_token).await.unwrap();
    let third = app.refresh(&second.refresh_token).await.unwrap();

    let unchanged = |tokens: &SessionTokens| Session {
        last_seen_time: None,
        ..tokens.session.clone().unwrap()
    };
    assert_eq!(unchanged(&second), unchanged(&first));
    assert_ne!(second.refresh_token, first.refresh_token);
    assert_ne!(third.refresh_token, second.refresh_token);
    app.me(&third.access_token).await.unwrap();
}

#[tokio::test]
async fn a_repeated_refresh_within_ten_seconds_gets_the_same_token_again() {
    let app = TestApp::start().await;
    let first = app.ada().await;
    let second = app.refresh(&first.refresh_token).await.unwrap();

    let repeated = app.refresh(&first.refresh_token).await.unwrap();

    assert_eq!(repeated.refresh_token, second.refresh_token);
    app.refresh(&second.refresh_token).await.unwrap();
}

#[tokio::test]
async fn a_token_used_again_later_ends_the_whole_session() {
    let app = TestApp::start().await;
    let first = app.ada().await;
    let second = app.refresh(&first.refresh_token).await.unwrap();
    app.me(&second.access_token).await.unwrap();
    app.run_as_admin("UPDATE sessions SET rotated_at = rotated_at - interval '11 seconds'")
        .await;

    let replayed = app.refresh(&first.refresh_token).await;

    assert_eq!(
        reason(replayed),
        (Code::Unauthenticated, "REFRESH_TOKEN_REUSED".to_owned())
    );
    let ended = (Code::Unauthenticated, "SESSION_ENDED".to_owned());
    assert_eq!(reason(app.refresh(&second.refresh_token).await), ended);
    assert_eq!(reason(app.refresh(&first.refresh_token).await), ended);
    assert_eq!(reason(app.me(&second.access_token).await), ended);
}

#[tokio::test]
async fn a_token_two_generations_old_ends_the_session_within_the_window_too() {
    let app = TestApp::start().await;
    let first = app.ada().await;
    let second = app.refresh(&first.refresh_token).await.unwrap();
    app.refresh(&second.refresh_token).await.unwrap();

    let replayed = app.refresh(&first.refresh_token).await;

    assert_eq!(
        reason(replayed),
        (Code::Unauthenticated, "REFRESH_TOKEN_REUSED".to_owned())
    );
}

#[tokio::test]
async fn fifty_refreshes_at_once_make_one_new_generation() {
    let app = TestApp::start().await;
    let first = app.ada().await;

    let refreshes = (0..50).map(|_| app.refresh(&first.refresh_token));
    let answers = futures::future::join_all(refreshes).await;

    let mut tokens: Vec<String> = answers
        .into_iter()
        .map(|answer| answer.unwrap().refresh_token)
        .collect();
    tokens.dedup();
    assert_eq!(tokens.len(), 1);
    let row = sqlx::query("SELECT generation FROM sessions")
        .fetch_one(&mut app.admin().await)
        .await
        .unwrap();
    assert_eq!(row.get::<i64, _>("generation"), 2);
    app.refresh(&tokens[0]).await.unwrap();
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    let mut changed = tokens.refresh_token.clone();
    changed.replace_range(10..11, if &changed[10..11] == "A" { "B" } else { "A" });

    for bad in ["x", "nul\0", &"x".repeat(10_000), &changed, &tokens.access_token] {
        assert_eq!(reason(app.refresh(bad).await), invalid(), "{bad:?}");
    }
    let empty = app.refresh("").await.unwrap_err();
    assert_eq!(violations(&empty), ["refresh_token must not be empty"]);
}

#[tokio::test]
async fn a_token_of_another_sessions_key_is_refused_and_ends_nothing() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    app.log_in(crate::app::EMAIL, crate::app::PASSWORD).await.unwrap();
    let sealed = "UPDATE sessions SET id = gen_random_uuid() WHERE created_at = (SELECT min(created_at) FROM sessions)";
    app.run_as_admin(sealed).await;

    assert_eq!(reason(app.refresh(&tokens.refresh_token).await), invalid());
}

#[tokio::test]
async fn a_session_ends_when_idle_when_old_and_when_its_user_is_logged_out_everywhere() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    let ended = (Code::Unauthenticated, "SESSION_ENDED".to_owned());

    app.run_as_admin("UPDATE sessions SET rotated_at = now() - interval '30 days'")
        .await;
    assert_eq!(reason(app.refresh(&tokens.refresh_token).await), ended);

    app.run_as_admin("UPDATE sessions SET rotated_at = now(), expires_at = now()")
        .await;
    assert_eq!(reason(app.refresh(&tokens.refresh_token).await), ended);

    app.run_as_admin("UPDATE sessions SET expires_at = now() + interval '1 day'; UPDATE users SET auth_epoch = 1")
        .await;
    assert_eq!(reason(app.refresh(&tokens.refresh_token).await), ended);
    assert_eq!(reason(app.me(&tokens.access_token).await), ended);

    app.run_as_admin("UPDATE users SET auth_epoch = 0").await;
    app.refresh(&tokens.refresh_token).await.unwrap();
}
