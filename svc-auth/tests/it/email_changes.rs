//! Changing the address of an account, and taking it back.

use bookmesh_proto::auth::v1::{ChangeEmailRequest, ChangePasswordRequest, UndoEmailChangeRequest};
use futures::future::join_all;
use tonic::{Code, Status};

use crate::{
    admin::{disable, end_sessions, force_reset},
    app::{EMAIL, PASSWORD, TestApp, reason, violations, with_token},
    authenticator::Authenticator,
    confirmations::confirm,
    oidc::Setup,
    passkeys,
    resets::{accounts, forget, reset, token_invalid},
    second_factors::enrol_and_confirm,
};

const NEW: &str = "ada@example.org";
const THIEF: &str = "thief@example.net";

pub(crate) async fn change(app: &TestApp, access_token: &str, new_email: &str) -> Result<(), Status> {
    let request = ChangeEmailRequest {
        new_email: new_email.to_owned(),
    };
    accounts(app)
        .change_email(with_token(request, access_token))
        .await
        .map(drop)
}

async fn undo(app: &TestApp, token: &str) -> Result<(), Status> {
    let request = UndoEmailChangeRequest {
        token: token.to_owned(),
    };
    accounts(app).undo_email_change(request).await.map(drop)
}

/// Ada, her address confirmed, logged in.
async fn confirmed_ada(app: &TestApp) -> String {
    let access_token = app.ada().await.access_token;
    let token = app.last_token_to(EMAIL).await;
    confirm(app, &token).await.unwrap();
    access_token
}

fn taken() -> (Code, String) {
    (Code::AlreadyExists, "EMAIL_TAKEN".to_owned())
}

#[tokio::test]
async fn an_address_changes_when_the_new_one_is_confirmed_and_not_before() {
    let app = TestApp::start().await;
    let access_token = confirmed_ada(&app).await;

    change(&app, &access_token, NEW).await.unwrap();

    assert_eq!(app.me(&access_token).await.unwrap().email, EMAIL);
    let token = app.last_token_to(NEW).await;
    let outcomes = join_all((0..50).map(|_| confirm(&app, &token))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let me = app.me(&access_token).await.unwrap();
    assert_eq!((me.email.as_str(), me.email_confirmed), (NEW, true));
    app.log_in(NEW, PASSWORD).await.unwrap();
    app.log_in(EMAIL, PASSWORD).await.unwrap_err();
    let told = app.subjects_to(EMAIL).await;
    assert_eq!(told, ["Confirm your address", "Your address is being changed"]);
}

#[tokio::test]
async fn a_change_takes_a_log_in_of_the_last_minutes() {
    let app = TestApp::start().await;
    let access_token = app.ada().await.access_token;
    app.run_as_admin("UPDATE sessions SET created_at = created_at - interval '6 min'")
        .await;

    let changed = change(&app, &access_token, NEW).await;

    assert_eq!(reason(changed), (Code::PermissionDenied, "STEP_UP_REQUIRED".to_owned()));
    assert_eq!(app.mails_to(NEW).await.len(), 0);
}

#[tokio::test]
async fn bad_input_is_named() {
    let app = TestApp::start().await;
    let access_token = app.ada().await.access_token;

    let none = change(&app, &access_token, "ada@").await.unwrap_err();
    let header = change(&app, &access_token, "a@b.example\r\nBcc: all@example.com")
        .await
        .unwrap_err();
    let same = change(&app, &access_token, EMAIL).await.unwrap_err();

    assert_eq!(
        violations(&none),
        ["new_email must be an e-mail address like name@example.com"]
    );
    assert_eq!(
        violations(&header),
        ["new_email must not contain spaces or control characters"]
    );
    assert_eq!(violations(&same), ["new_email must not be the current one"]);
    for nonsense in ["", "token", "\0"] {
        assert_eq!(reason(undo(&app, nonsense).await), token_invalid());
        assert_eq!(reason(confirm(&app, nonsense).await), token_invalid());
    }
}

#[tokio::test]
async fn an_address_that_was_taken_meanwhile_stays_with_whoever_has_it() {
    let app = TestApp::start().await;
    let access_token = confirmed_ada(&app).await;
    change(&app, &access_token, NEW).await.unwrap();
    let token = app.last_token_to(NEW).await;

    app.register(NEW, PASSWORD).await.unwrap();

    assert_eq!(reason(confirm(&app, &token).await), taken());
    assert_eq!(app.me(&access_token).await.unwrap().email, EMAIL);
}

#[tokio::test]
async fn whoever_reads_the_old_address_takes_the_account_back_from_a_thief() {
    let app = TestApp::start().await;
    let access_token = confirmed_ada(&app).await;
    change(&app, &access_token, THIEF).await.unwrap();
    let token = app.last_token_to(THIEF).await;
    confirm(&app, &token).await.unwrap();
    let undoing = app.last_token_to(EMAIL).await;
    // The thief tries to keep the owner out: by moving on, by resetting, and by taking the old address for another account.
    change(&app, &access_token, NEW).await.unwrap();
    let token = app.last_token_to(NEW).await;
    confirm(&app, &token).await.unwrap();
    let thiefs_undoing = app.last_token_to(THIEF).await;
    forget(&app, NEW).await.unwrap();
    let thiefs_reset = app.last_token_to(NEW).await;
    assert_eq!(reason(app.register(EMAIL, PASSWORD).await), taken());

    undo(&app, &undoing).await.unwrap();

    let ended = (Code::Unauthenticated, "SESSION_ENDED".to_owned());
    assert_eq!(reason(app.me(&access_token).await), ended);
    app.log_in(EMAIL, PASSWORD).await.unwrap_err();
    app.log_in(NEW, PASSWORD).await.unwrap_err();
    assert_eq!(reason(undo(&app, &thiefs_undoing).await), token_invalid());
    assert_eq!(reason(undo(&app, &undoing).await), token_invalid());
    assert_eq!(reason(reset(&app, &thiefs_reset, PASSWORD).await), token_invalid());
    let token = app.last_token_to(EMAIL).await;
    reset(&app, &token, "parsnip gravel oboe").await.unwrap();
    app.log_in(EMAIL, "parsnip gravel oboe").await.unwrap();
}

#[tokio::test]
async fn a_stranger_whose_address_was_mistyped_can_undo_nothing() {
    let app = TestApp::start().await;
    let access_token = app.ada().await.access_token;

    change(&app, &access_token, NEW).await.unwrap();

    assert_eq!(app.subjects_to(EMAIL).await, ["Confirm your address"]);
}

#[tokio::test]
async fn tokens_that_were_mailed_to_the_old_address_count_no_more_after_a_change() {
    let app = TestApp::start().await;
    let access_token = confirmed_ada(&app).await;
    forget(&app, EMAIL).await.unwrap();
    let reset_token = app.last_token_to(EMAIL).await;
    change(&app, &access_token, NEW).await.unwrap();
    let token = app.last_token_to(NEW).await;

    confirm(&app, &token).await.unwrap();

    assert_eq!(
        reason(reset(&app, &reset_token, "parsnip gravel oboe").await),
        token_invalid()
    );
}

#[tokio::test]
async fn one_account_mails_only_so_many_strangers_within_an_hour() {
    let app = TestApp::start().await;
    let access_token = app.ada().await.access_token;
    for index in 0..5 {
        change(&app, &access_token, &format!("stranger{index}@example.com"))
            .await
            .unwrap();
    }

    let sixth = change(&app, &access_token, NEW).await;

    assert_eq!(reason(sixth), (Code::ResourceExhausted, "TOO_MANY_MAILS".to_owned()));
}

#[tokio::test]
async fn a_change_that_a_thief_has_begun_ends_with_whatever_locks_the_thief_out() {
    let app = TestApp::start().await;
    let admin = app.ada().await.access_token;
    for how in ["change the password", "force a reset", "disable", "end the sessions"] {
        let email = format!("{}@example.com", how.replace(' ', "."));
        let id = app.register(&email, PASSWORD).await.unwrap().id;
        confirm(&app, &app.last_token_to(&email).await).await.unwrap();
        let thief = app.log_in(&email, PASSWORD).await.unwrap().access_token;
        let new = format!("thief.{email}");
        change(&app, &thief, &new).await.unwrap();
        let token = app.last_token_to(&new).await;
        let undoing = app.last_token_to(&email).await;

        match how {
            "change the password" => {
                let request = ChangePasswordRequest {
                    current_password: PASSWORD.to_owned(),
                    new_password: "parsnip gravel oboe".to_owned(),
                };
                let owner = app.log_in(&email, PASSWORD).await.unwrap().access_token;
                app.auth
                    .clone()
                    .change_password(with_token(request, &owner))
                    .await
                    .unwrap();
            }
            "force a reset" => drop(force_reset(&app, &admin, &id).await.unwrap()),
            "disable" => drop(disable(&app, &admin, &id).await.unwrap()),
            _ => drop(end_sessions(&app, &admin, &id).await.unwrap()),
        }

        assert_eq!(reason(confirm(&app, &token).await), token_invalid(), "{how}");
        undo(&app, &undoing).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_thief_has_added_lately_goes_with_the_change_that_is_undone_and_what_is_older_stays() {
    let setup = Setup::start().await;
    let app = &setup.app;
    let access_token = confirmed_ada(app).await;
    let (mut owners, mut thiefs, mut later) = (Authenticator::new(), Authenticator::new(), Authenticator::new());
    passkeys::add(app, &access_token, &mut owners, "Owner's").await.unwrap();
    app.run_as_admin("UPDATE passkeys SET created_at = created_at - interval '8 days'")
        .await;
    passkeys::add(app, &access_token, &mut thiefs, "Thief's").await.unwrap();
    setup.link(&access_token, "company").await.unwrap();
    change(app, &access_token, THIEF).await.unwrap();
    let undoing = app.last_token_to(EMAIL).await;
    confirm(app, &app.last_token_to(THIEF).await).await.unwrap();
    passkeys::add(app, &access_token, &mut later, "Thief's, too")
        .await
        .unwrap();
    enrol_and_confirm(app, &access_token).await;

    undo(app, &undoing).await.unwrap();

    for device in [&mut thiefs, &mut later] {
        let answer = passkeys::shown(app, device).await;
        assert_eq!(reason(passkeys::log_in(app, answer).await).1, "WRONG_PASSKEY");
    }
    let elsewhere = setup.log_in("company").await.unwrap().access_token;
    assert_ne!(app.me(&elsewhere).await.unwrap().email, EMAIL);
    let answer = passkeys::shown(app, &mut owners).await;
    passkeys::log_in(app, answer).await.unwrap();
    let apps = "SELECT count(*) FROM totp_factors";
    let apps: i64 = sqlx::query_scalar(apps)
        .fetch_one(&mut app.admin().await)
        .await
        .unwrap();
    assert_eq!(apps, 0);
}
