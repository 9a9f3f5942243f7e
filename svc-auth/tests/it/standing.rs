//! Accounts that may not be logged in to: whoever shows who they are is told so, and the user's row comes before all else.

use bookmesh_proto::auth::v1::StepUpSessionRequest;
use sqlx::Connection;
use tonic::{Code, Status};

use crate::{
    app::{EMAIL, PASSWORD, TestApp, reason, with_token},
    challenges::{challenge_of, challenges, complete, complete_with_recovery_code},
    confirmations::{REQUIRED, not_confirmed},
    mails::waits,
    oidc::Setup,
    passkeys::{ada_with_a_passkey, log_in, shown},
    second_factors::{Enrolled, enrolled, wrong_code},
};

const SHUT: &str = "UPDATE users SET disabled_at = now()";
const OPEN: &str = "UPDATE users SET disabled_at = NULL";

fn disabled() -> (Code, String) {
    (Code::PermissionDenied, "ACCOUNT_DISABLED".to_owned())
}

#[tokio::test]
async fn whoever_knows_the_password_is_told_that_the_account_is_shut_and_not_asked_for_a_factor() {
    let app = TestApp::start().await;
    enrolled(&app).await;
    app.run_as_admin(SHUT).await;

    let right = app.log_in(EMAIL, PASSWORD).await;
    let wrong = app.log_in(EMAIL, "wrong horse battery").await;

    assert_eq!(reason(right), disabled());
    assert_eq!(reason(wrong), (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned()));
    let waiting = "SELECT count(*) = 0 FROM login_challenges";
    let is_empty: bool = sqlx::query_scalar(waiting)
        .fetch_one(&mut app.admin().await)
        .await
        .unwrap();
    assert!(is_empty, "no challenge that would count later");
}

#[tokio::test]
async fn no_factor_is_looked_at_while_the_account_is_shut() {
    let app = TestApp::start().await;
    let Enrolled { secret, codes, .. } = enrolled(&app).await;
    let challenge = challenge_of(&app).await;
    app.run_as_admin(SHUT).await;

    let right = complete_with_recovery_code(&app, &challenge, &codes[0]).await;
    let wrong = complete(&app, &challenge, &wrong_code(&secret), "").await;

    assert_eq!(reason(right), disabled());
    assert_eq!(reason(wrong), disabled());
    app.run_as_admin(OPEN).await;
    complete_with_recovery_code(&app, &challenge, &codes[0]).await.unwrap();
}

#[tokio::test]
async fn a_passkeys_answer_that_a_shut_account_refused_opens_nothing_once_it_is_open() {
    let app = TestApp::start().await;
    let (_, mut device, _) = ada_with_a_passkey(&app).await;
    // Devices that keep no counter always say 0, so that only the ceremony tells a second use.
    device.has_counter = false;
    let answer = shown(&app, &mut device).await;
    app.run_as_admin(SHUT).await;

    let refused = log_in(&app, answer.clone()).await;
    app.run_as_admin(OPEN).await;
    let again = log_in(&app, answer).await;

    assert_eq!(reason(refused), disabled());
    assert_eq!(reason(again), (Code::InvalidArgument, "WRONG_PASSKEY".to_owned()));
    let anew = shown(&app, &mut device).await;
    log_in(&app, anew).await.unwrap();
}

#[tokio::test]
async fn where_a_confirmed_address_is_required_no_way_in_goes_without() {
    let app = TestApp::start().await;
    let (_, mut device, added) = ada_with_a_passkey(&app).await;
    let challenge = challenge_of(&app).await;
    let strict = app.beside(&REQUIRED).await;

    let by_password = strict.log_in(EMAIL, PASSWORD).await;
    let answer = shown(&strict, &mut device).await;
    let by_passkey = log_in(&strict, answer).await;
    let code = &added.recovery_codes.unwrap().codes[0];
    let by_challenge = complete_with_recovery_code(&strict, &challenge, code).await;

    assert_eq!(reason(by_password), not_confirmed());
    assert_eq!(reason(by_passkey), not_confirmed());
    assert_eq!(reason(by_challenge), not_confirmed());
}

#[tokio::test]
async fn where_a_confirmed_address_is_required_a_provider_is_no_way_around_and_an_account_without_one_gets_in() {
    let setup = Setup::start_with(&REQUIRED).await;
    setup.log_in("company").await.unwrap();

    setup
        .app
        .run_as_admin("UPDATE users SET email = 'ada@example.com', email_key = 'ada@example.com'")
        .await;
    let refused = setup.log_in("company").await;

    assert_eq!(reason(refused), not_confirmed());
    assert_eq!(setup.app.mails_to(EMAIL).await.len(), 1, "a token that confirms it");
}

/// Holds all users' rows until the call waits for one of them, and then finds no row of a table locked.
async fn assert_locks_the_user_first<T>(
    app: &TestApp,
    lock_others: &'static str,
    call: impl Future<Output = Result<T, Status>>,
) {
    let mut holder = app.admin().await;
    let mut transaction = holder.begin().await.unwrap();
    sqlx::raw_sql("SELECT FROM users FOR UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let looking = async {
        let waiting = "SELECT count(*) > 0 FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        waits(&mut app.admin().await, waiting).await;
        let free = sqlx::raw_sql(lock_others).execute(&mut *transaction).await;
        transaction.rollback().await.unwrap();
        free
    };

    let (answer, free) = futures::join!(call, looking);

    let free = free.map(|locked| locked.rows_affected());
    assert!(matches!(free, Ok(1..)), "{lock_others}: {free:?}");
    answer.map(drop).unwrap();
}

#[tokio::test]
async fn every_way_in_and_a_step_up_lock_the_users_row_before_any_other() {
    let app = TestApp::start().await;
    let (ada, mut device, added) = ada_with_a_passkey(&app).await;
    let codes = added.recovery_codes.unwrap().codes;
    let challenge = challenge_of(&app).await;

    let completion = complete_with_recovery_code(&app, &challenge, &codes[0]);
    assert_locks_the_user_first(&app, "SELECT FROM login_challenges FOR UPDATE NOWAIT", completion).await;

    let answer = shown(&app, &mut device).await;
    assert_locks_the_user_first(&app, "SELECT FROM passkeys FOR UPDATE NOWAIT", log_in(&app, answer)).await;

    let request = StepUpSessionRequest {
        passkey: Some(shown(&app, &mut device).await),
        ..StepUpSessionRequest::default()
    };
    let mut client = challenges(&app);
    let stepping_up = client.step_up_session(with_token(request, &ada.access_token));
    assert_locks_the_user_first(&app, "SELECT FROM sessions FOR UPDATE NOWAIT", stepping_up).await;

    let setup = Setup::start().await;
    setup.log_in("company").await.unwrap();
    let again = setup.log_in("company");
    assert_locks_the_user_first(&setup.app, "SELECT FROM identities FOR UPDATE NOWAIT", again).await;
}
