//! Confirming addresses, and what registering tells where that is required.

use bookmesh_proto::auth::v1::{ConfirmEmailRequest, RequestEmailConfirmationRequest};
use futures::future::join_all;
use tonic::{Code, Status};

use crate::{
    app::{EMAIL, PASSWORD, TestApp, reason, with_token},
    resets::{accounts, forget, reset, token_invalid},
};

pub(crate) const REQUIRED: [(&str, &str); 1] = [("AUTH_EMAIL_CONFIRMATION", "required")];

pub(crate) async fn confirm(app: &TestApp, token: &str) -> Result<(), Status> {
    let request = ConfirmEmailRequest {
        token: token.to_owned(),
    };
    accounts(app).confirm_email(request).await.map(drop)
}

async fn ask_again(app: &TestApp, access_token: &str) -> Result<(), Status> {
    let request = with_token(RequestEmailConfirmationRequest {}, access_token);
    accounts(app).request_email_confirmation(request).await.map(drop)
}

pub(crate) fn not_confirmed() -> (Code, String) {
    (Code::PermissionDenied, "EMAIL_NOT_CONFIRMED".to_owned())
}

#[tokio::test]
async fn the_token_of_the_first_mail_confirms_the_address_once() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    assert!(!app.me(&tokens.access_token).await.unwrap().email_confirmed);
    let token = app.last_token_to(EMAIL).await;

    let outcomes = join_all((0..50).map(|_| confirm(&app, &token))).await;

    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.into_iter().filter(Result::is_err) {
        assert_eq!(reason(refused), token_invalid());
    }
    assert!(app.me(&tokens.access_token).await.unwrap().email_confirmed);
}

#[tokio::test]
async fn another_mail_can_be_asked_for_until_there_were_enough_or_the_address_is_confirmed() {
    let app = TestApp::start_with(&[("AUTH_MAILS_PER_HOUR", "2")]).await;
    let access_token = app.ada().await.access_token;
    let first = app.last_token_to(EMAIL).await;

    ask_again(&app, &access_token).await.unwrap();
    let too_many = ask_again(&app, &access_token).await;

    assert_eq!(reason(too_many), (Code::ResourceExhausted, "TOO_MANY_MAILS".to_owned()));
    assert_eq!(reason(confirm(&app, &first).await), token_invalid());
    let second = app.last_token_to(EMAIL).await;
    confirm(&app, &second).await.unwrap();
    ask_again(&app, &access_token).await.unwrap();
    assert_eq!(app.mails_to(EMAIL).await.len(), 2);
}

#[tokio::test]
async fn nobody_asks_for_somebody_else() {
    let app = TestApp::start().await;

    let asked = accounts(&app)
        .request_email_confirmation(RequestEmailConfirmationRequest {})
        .await;

    assert_eq!(reason(asked), (Code::Unauthenticated, "TOKEN_MISSING".to_owned()));
}

#[tokio::test]
async fn where_it_is_required_nobody_logs_in_before_the_address_is_confirmed() {
    let app = TestApp::start_with(&REQUIRED).await;
    app.register(EMAIL, PASSWORD).await.unwrap();

    assert_eq!(reason(app.log_in(EMAIL, PASSWORD).await), not_confirmed());
    let wrong = app.log_in(EMAIL, "not the right password").await;
    assert_eq!(reason(wrong), (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned()));

    // While its token counts the first mail is enough; later a log-in sends another.
    assert_eq!(app.mails_to(EMAIL).await.len(), 1);
    app.run_as_admin("UPDATE mail_tokens SET expires_at = now()").await;
    assert_eq!(reason(app.log_in(EMAIL, PASSWORD).await), not_confirmed());
    let token = app.last_token_to(EMAIL).await;
    assert_eq!(app.mails_to(EMAIL).await.len(), 2);
    confirm(&app, &token).await.unwrap();
    app.log_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn where_it_is_required_a_new_password_confirms_too() {
    let app = TestApp::start_with(&REQUIRED).await;
    app.register(EMAIL, PASSWORD).await.unwrap();
    forget(&app, EMAIL).await.unwrap();

    let token = app.last_token_to(EMAIL).await;
    reset(&app, &token, "parsnip gravel oboe").await.unwrap();

    app.log_in(EMAIL, "parsnip gravel oboe").await.unwrap();
}

#[tokio::test]
async fn where_it_is_required_registering_a_taken_address_looks_like_registering_a_free_one() {
    let app = TestApp::start_with(&REQUIRED).await;
    let free = app.register(EMAIL, PASSWORD).await.unwrap();

    let taken = app.register(EMAIL, "parsnip gravel oboe").await.unwrap();

    assert_ne!(free.id, taken.id);
    assert_eq!(free.id.len(), taken.id.len());
    assert!(taken.create_time.is_some());
    let shape =
        |user: &bookmesh_proto::auth::v1::User| (user.email.clone(), user.display_name.clone(), user.email_confirmed);
    assert_eq!(shape(&free), shape(&taken));
    assert_eq!(
        app.subjects_to(EMAIL).await,
        ["Confirm your address", "You have an account already"]
    );
    // The account is as it was.
    let token = app.mails_to(EMAIL).await[0].token();
    confirm(&app, &token).await.unwrap();
    app.log_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn the_owner_is_told_only_so_often_that_somebody_registers_their_address() {
    let app = TestApp::start_with(&REQUIRED).await;
    for _ in 0..8 {
        app.register(EMAIL, PASSWORD).await.unwrap();
    }

    assert_eq!(app.mails_to(EMAIL).await.len(), 1 + 5);
}
