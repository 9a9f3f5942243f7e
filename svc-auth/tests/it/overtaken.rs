//! Changes under way that somebody overtakes who shuts the account, and locks that are taken in one order.

use std::{future::Future, pin::pin, time::Duration};

use bookmesh_proto::auth::v1::{PasskeyAnswer, verify_api_token_response::State};
use sqlx::{PgConnection, Row};
use tonic::{Code, Status};

use crate::{
    api_tokens::{make, verify},
    app::{PASSWORD, TestApp, reason},
    authenticator::Authenticator,
    challenges::{challenge_of, complete_with_recovery_code},
    email_changes::change,
    oidc::{Setup, provider::visit},
    passkeys,
    second_factors::{code_of, confirm, enrol, enrolled},
};

/// What an admin's DisableUser does.
const SHUT: &str = "UPDATE users SET disabled_at = now();
                    UPDATE sessions SET revoked_at = now(), revoked_reason = 'ended_by_admin';
                    UPDATE api_tokens SET revoked_at = now();";

/// What a call answers while another transaction has made changes that it has not committed yet; they are committed once the call
/// waits for them, or has not waited.
async fn overtaken<T>(app: &TestApp, changes: &'static str, call: impl Future<Output = T>) -> T {
    let mut other = app.admin().await;
    run(&mut other, "BEGIN").await;
    run(&mut other, changes).await;
    let mut call = pin!(call);

    let early = tokio::select! {
        answer = &mut call => Some(answer),
        () = until_somebody_waits(app) => None,
    };

    run(&mut other, "COMMIT").await;
    match early {
        Some(answer) => answer,
        None => call.await,
    }
}

async fn run(connection: &mut PgConnection, statement: &'static str) {
    sqlx::raw_sql(statement).execute(connection).await.unwrap();
}

async fn until_somebody_waits(app: &TestApp) {
    let mut admin = app.admin().await;
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query(waiting)
        .fetch_one(&mut admin)
        .await
        .unwrap()
        .get::<i64, _>(0)
        == 0
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn ended() -> (Code, String) {
    (Code::Unauthenticated, "SESSION_ENDED".to_owned())
}

#[tokio::test]
async fn nothing_that_lets_somebody_in_is_added_to_an_account_that_is_being_shut() {
    let app = TestApp::start().await;

    for (index, what) in ["api token", "address", "app", "passkey"].into_iter().enumerate() {
        app.run_as_admin("UPDATE users SET disabled_at = NULL").await;
        let email = format!("{index}@example.com");
        app.register(&email, PASSWORD).await.unwrap();
        let token = app.log_in(&email, PASSWORD).await.unwrap().access_token;
        let answer: Result<(), Status> = match what {
            "api token" => {
                let call = make(&app, &token, "Backup", &["tasks:read"]);
                overtaken(&app, SHUT, call).await.map(drop)
            }
            "address" => overtaken(&app, SHUT, change(&app, &token, "new@example.com")).await,
            "app" => {
                let code = code_of(&enrol(&app, &token).await.unwrap().secret);
                overtaken(&app, SHUT, confirm(&app, &token, &code)).await.map(drop)
            }
            _ => {
                let begun = passkeys::begin(&app, &token).await.unwrap();
                let answer = PasskeyAnswer {
                    credential: Authenticator::new().create(&begun.options),
                    ceremony: begun.ceremony,
                };
                let call = passkeys::finish(&app, &token, answer, "Phone");
                overtaken(&app, SHUT, call).await.map(drop)
            }
        };

        assert_eq!(reason(answer), ended(), "{what}");
    }
}

#[tokio::test]
async fn no_account_at_a_provider_is_linked_to_one_that_is_being_shut() {
    let setup = Setup::start().await;
    let ada = setup.app.ada().await.access_token;
    let attempt = setup.begin_link(&ada, "company").await.unwrap();
    let back = visit(&attempt.authorization_url).await;

    let linked = overtaken(&setup.app, SHUT, setup.complete_link(&ada, &attempt, &back)).await;

    assert_eq!(reason(linked), ended());
}

#[tokio::test]
async fn an_api_token_that_nobody_revoked_lets_nobody_in_to_a_shut_account() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    let made = make(&app, &ada.access_token, "Backup", &["tasks:read"]).await.unwrap();

    app.run_as_admin("UPDATE users SET disabled_at = now()").await;

    assert_eq!(verify(&app, &made.token).await.state(), State::Ended);
}

#[tokio::test]
async fn a_log_in_waits_for_whoever_takes_its_factor_away_and_the_two_never_for_each_other() {
    let app = TestApp::start().await;
    let codes = enrolled(&app).await.codes;
    let challenge = challenge_of(&app).await;
    let mut other = app.admin().await;
    run(&mut other, "BEGIN; SELECT FROM users FOR NO KEY UPDATE").await;

    let log_in = complete_with_recovery_code(&app, &challenge, &codes[0]);
    let mut log_in = pin!(log_in);
    tokio::select! {
        answer = &mut log_in => panic!("{answer:?}"),
        () = until_somebody_waits(&app) => {}
    }
    // Two that wait for each other would be seen by Postgres here, and one of them fail.
    run(
        &mut other,
        "DELETE FROM recovery_codes; DELETE FROM login_challenges; COMMIT",
    )
    .await;

    assert_eq!(reason(log_in.await).1, "INVALID_CHALLENGE");
}
