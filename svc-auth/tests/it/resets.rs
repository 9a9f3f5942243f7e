//! Forgotten passwords.

use std::time::Instant;

use bookmesh_proto::auth::v1::{
    RequestPasswordResetRequest, ResetPasswordRequest, SessionTokens, account_service_client::AccountServiceClient,
    audit_event::Action,
};
use futures::future::join_all;
use service::client::channel;
use sqlx::Row;
use tonic::{Code, Request, Status, transport::Channel};

use crate::{
    api_tokens::make,
    app::{EMAIL, PASSWORD, TestApp, reason, violations},
    audit::list,
    authenticator::Authenticator,
    confirmations::confirm,
    oidc::Setup,
    passkeys,
    second_factors::enrol_and_confirm,
};

/// Of each kind, one after the other, so that what else the machine does hits both.
const ROUNDS: usize = 100;
const NEW_PASSWORD: &str = "parsnip gravel oboe";

pub(crate) fn accounts(app: &TestApp) -> AccountServiceClient<Channel> {
    AccountServiceClient::new(channel(&app.address).unwrap())
}

pub(crate) async fn forget(app: &TestApp, email: &str) -> Result<(), Status> {
    forget_from(app, "127.0.0.1", email).await
}

/// As through the edge, by a client at `address`.
pub(crate) async fn forget_from(app: &TestApp, address: &str, email: &str) -> Result<(), Status> {
    let request = request_from(address, email);
    accounts(app).request_password_reset(request).await.map(drop)
}

fn request_from(address: &str, email: &str) -> Request<RequestPasswordResetRequest> {
    let mut request = Request::new(RequestPasswordResetRequest {
        email: email.to_owned(),
    });
    request
        .metadata_mut()
        .insert("x-client-address", address.parse().unwrap());
    request
}

pub(crate) async fn reset(app: &TestApp, token: &str, new_password: &str) -> Result<(), Status> {
    let request = ResetPasswordRequest {
        token: token.to_owned(),
        new_password: new_password.to_owned(),
        keep_api_tokens: false,
    };
    accounts(app).reset_password(request).await.map(drop)
}

pub(crate) fn token_invalid() -> (Code, String) {
    (Code::InvalidArgument, "MAIL_TOKEN_INVALID".to_owned())
}

async fn forgetful_ada(app: &TestApp) -> (SessionTokens, String) {
    let tokens = app.ada().await;
    forget(app, EMAIL).await.unwrap();
    (tokens, app.last_token_to(EMAIL).await)
}

#[tokio::test]
async fn checklist_7_4_3_a_mailed_token_sets_a_new_password_ends_every_session_and_tells_the_owner() {
    let app = TestApp::start().await;
    let (tokens, token) = forgetful_ada(&app).await;
    app.me(&tokens.access_token).await.unwrap();

    reset(&app, &token, NEW_PASSWORD).await.unwrap();

    let ended = (Code::Unauthenticated, "SESSION_ENDED".to_owned());
    assert_eq!(reason(app.me(&tokens.access_token).await), ended);
    assert_eq!(reason(app.refresh(&tokens.refresh_token).await), ended);
    let refused = app.log_in(EMAIL, PASSWORD).await;
    assert_eq!(
        reason(refused),
        (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned())
    );
    let tokens = app.log_in(EMAIL, NEW_PASSWORD).await.unwrap();
    assert!(app.me(&tokens.access_token).await.unwrap().email_confirmed);
    assert_eq!(
        app.subjects_to(EMAIL).await,
        [
            "Confirm your address",
            "Set a new password",
            "Your password was changed"
        ]
    );
}

#[tokio::test]
async fn checklist_6_4_3_a_reset_leaves_the_second_factor_in_the_way() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    confirm(&app, &app.last_token_to(EMAIL).await).await.unwrap();
    enrol_and_confirm(&app, &tokens.access_token).await;
    forget(&app, EMAIL).await.unwrap();

    reset(&app, &app.last_token_to(EMAIL).await, NEW_PASSWORD)
        .await
        .unwrap();

    let log_in = app.log_in(EMAIL, NEW_PASSWORD).await;
    assert_eq!(reason(log_in), (Code::Unauthenticated, "MFA_REQUIRED".to_owned()));
}

#[tokio::test]
async fn whoever_made_an_account_with_somebody_elses_address_keeps_no_way_in_after_its_reset() {
    let setup = Setup::start().await;
    let app = &setup.app;
    let intruder = app.ada().await.access_token;
    let mut device = Authenticator::new();
    setup.link(&intruder, "company").await.unwrap();
    passkeys::add(app, &intruder, &mut device, "Phone").await.unwrap();
    enrol_and_confirm(app, &intruder).await;
    make(app, &intruder, "Backup", &["tasks:read"]).await.unwrap();
    forget(app, EMAIL).await.unwrap();

    let keeping = ResetPasswordRequest {
        token: app.last_token_to(EMAIL).await,
        new_password: NEW_PASSWORD.to_owned(),
        keep_api_tokens: true,
    };
    accounts(app).reset_password(keeping).await.unwrap();

    let owner = app.log_in(EMAIL, NEW_PASSWORD).await.unwrap();
    let answer = passkeys::shown(app, &mut device).await;
    assert_eq!(reason(passkeys::log_in(app, answer).await).1, "WRONG_PASSKEY");
    let elsewhere = setup.log_in("company").await.unwrap().access_token;
    assert_ne!(app.me(&elsewhere).await.unwrap().email, EMAIL);
    let left = "SELECT (SELECT count(*) FROM totp_factors) + (SELECT count(*) FROM recovery_codes)
                    + (SELECT count(*) FROM api_tokens WHERE revoked_at IS NULL)";
    let left = sqlx::query(left).fetch_one(&mut app.admin().await).await.unwrap();
    assert_eq!(left.get::<i64, _>(0), 0);
    let noted = list(app, &owner.access_token).await;
    for action in [Action::PasskeyRemoved, Action::IdentityUnlinked, Action::TotpRemoved] {
        assert!(noted.iter().any(|event| event.action() == action), "{action:?}");
    }
}

#[tokio::test]
async fn a_reset_token_is_good_once_even_when_it_is_used_fifty_times_at_once() {
    let app = TestApp::start().await;
    let (_, token) = forgetful_ada(&app).await;

    let uses = (0..50).map(|_| reset(&app, &token, NEW_PASSWORD));
    let outcomes = join_all(uses).await;

    let refusals: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert_eq!(refusals.len(), 49);
    for refusal in refusals.into_iter().map(|status| reason::<()>(Err(status))) {
        // Fifty at once may be more than the cores can hash.
        assert!(
            refusal == token_invalid() || refusal.0 == Code::Unavailable,
            "{refusal:?}"
        );
    }
    assert_eq!(reason(reset(&app, &token, NEW_PASSWORD).await), token_invalid());
}

#[tokio::test]
async fn another_mail_withdraws_the_token_of_the_one_before() {
    let app = TestApp::start().await;
    let (_, first) = forgetful_ada(&app).await;
    forget(&app, EMAIL).await.unwrap();
    let second = app.last_token_to(EMAIL).await;

    assert_eq!(reason(reset(&app, &first, NEW_PASSWORD).await), token_invalid());
    reset(&app, &second, NEW_PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_token_ends_after_fifteen_minutes_and_when_the_clock_was_set_back() {
    let app = TestApp::start().await;
    let (_, token) = forgetful_ada(&app).await;

    for shift in [
        "UPDATE mail_tokens SET created_at = created_at - interval '15 min', expires_at = expires_at - interval '15 min'",
        // Made by a clock that was a day ahead.
        "UPDATE mail_tokens SET created_at = created_at + interval '1 day', expires_at = expires_at + interval '1 day'",
    ] {
        app.run_as_admin(shift).await;

        assert_eq!(
            reason(reset(&app, &token, NEW_PASSWORD).await),
            token_invalid(),
            "{shift}"
        );
    }
    app.log_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_token_for_one_purpose_is_good_for_no_other() {
    let app = TestApp::start().await;
    app.ada().await;
    let confirmation = app.last_token_to(EMAIL).await;

    assert_eq!(reason(reset(&app, &confirmation, NEW_PASSWORD).await), token_invalid());
}

#[tokio::test]
async fn bad_input_is_named_and_uses_no_token_up() {
    let app = TestApp::start().await;
    let (_, token) = forgetful_ada(&app).await;

    let no_address = forget(&app, "ada").await.unwrap_err();
    let no_token = reset(&app, "", NEW_PASSWORD).await.unwrap_err();
    let short = reset(&app, &token, "short").await.unwrap_err();
    let breached = reset(&app, &token, "passwordpassword").await;

    assert_eq!(
        violations(&no_address),
        ["email must be an e-mail address like name@example.com"]
    );
    assert_eq!(violations(&no_token), ["token must not be empty"]);
    assert_eq!(violations(&short), ["new_password must be 15 to 256 characters long"]);
    assert_eq!(
        reason(breached),
        (Code::InvalidArgument, "PASSWORD_BREACHED".to_owned())
    );
    for nonsense in ["token", "\0", &"a".repeat(10_000), &"A".repeat(43)] {
        assert_eq!(reason(reset(&app, nonsense, NEW_PASSWORD).await), token_invalid());
    }
    reset(&app, &token, NEW_PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_reset_revokes_api_tokens_unless_their_owner_keeps_them() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    confirm(&app, &app.last_token_to(EMAIL).await).await.unwrap();
    make(&app, &tokens.access_token, "Backup", &["tasks:read"])
        .await
        .unwrap();
    let mut admin = app.admin().await;
    let mut live = async || {
        let count = "SELECT count(*) FROM api_tokens WHERE revoked_at IS NULL";
        sqlx::query(count).fetch_one(&mut admin).await.unwrap().get::<i64, _>(0)
    };

    forget(&app, EMAIL).await.unwrap();
    let keeping = ResetPasswordRequest {
        token: app.last_token_to(EMAIL).await,
        new_password: NEW_PASSWORD.to_owned(),
        keep_api_tokens: true,
    };
    accounts(&app).reset_password(keeping).await.unwrap();
    assert_eq!(live().await, 1);

    forget(&app, EMAIL).await.unwrap();
    let token = app.last_token_to(EMAIL).await;
    reset(&app, &token, PASSWORD).await.unwrap();
    assert_eq!(live().await, 0);
}

#[tokio::test]
async fn checklist_6_3_8_an_unknown_address_gets_the_same_answer_and_the_same_work_and_no_mail() {
    let app = TestApp::start().await;
    app.register(EMAIL, PASSWORD).await.unwrap();
    let mut admin = app.admin().await;
    let mut written = async || {
        let counts = "SELECT (SELECT count(*) FROM mails), (SELECT count(*) FROM mail_tokens),
                             (SELECT count(*) FROM audit_events)";
        let row = sqlx::query(counts).fetch_one(&mut admin).await.unwrap();
        [row.get::<i64, _>(0), row.get(1), row.get(2)]
    };
    let mut growth = async |email: &str| {
        let before = written().await;
        let request = RequestPasswordResetRequest {
            email: email.to_owned(),
        };
        let answer = accounts(&app).request_password_reset(request).await.unwrap();
        let after = written().await;
        (answer.into_inner(), [0, 1, 2].map(|index| after[index] - before[index]))
    };

    let known = growth(EMAIL).await;
    let unknown = growth("nobody@example.com").await;

    assert_eq!(known, ((), [1, 1, 1]));
    assert_eq!(unknown, known);
    assert_eq!(app.mails_to("nobody@example.com").await.len(), 0);
    assert_eq!(app.mails_to(EMAIL).await.len(), 2);
}

#[tokio::test]
async fn nobodys_mailbox_is_flooded_and_the_last_token_goes_on_counting() {
    let app = TestApp::start().await;
    app.register(EMAIL, PASSWORD).await.unwrap();

    let floods = (0..30).map(|index| {
        let email = if index % 2 == 0 { "ADA@example.com" } else { EMAIL };
        forget(&app, email)
    });
    for answer in join_all(floods).await {
        answer.unwrap();
    }

    let subjects = app.subjects_to(EMAIL).await;
    assert_eq!(
        subjects
            .iter()
            .filter(|subject| *subject == "Set a new password")
            .count(),
        5
    );
    // Mails are in the order of their ids, which those written at once may not have been committed in.
    let mut successes = 0;
    for mail in app
        .mails_to(EMAIL)
        .await
        .iter()
        .filter(|mail| mail.subject == "Set a new password")
    {
        successes += i32::from(reset(&app, &mail.token(), NEW_PASSWORD).await.is_ok());
    }
    assert_eq!(successes, 1);
    app.run_as_admin("UPDATE mails SET created_at = created_at - interval '61 min'")
        .await;
    forget(&app, EMAIL).await.unwrap();
    let token = app.last_token_to(EMAIL).await;
    reset(&app, &token, "another parsnip oboe").await.unwrap();
}

#[tokio::test]
async fn an_unknown_address_takes_about_as_long_as_a_known_one() {
    let app = TestApp::start_with(&[("AUTH_MAILS_PER_HOUR", "1000000")]).await;
    app.register(EMAIL, PASSWORD).await.unwrap();
    let mut client = accounts(&app);
    let mut times = [Vec::new(), Vec::new()];

    for round in 0..ROUNDS {
        for (times, email) in times.iter_mut().zip([EMAIL, "nobody@example.com"]) {
            let request = request_from(&format!("10.0.{round}.1"), email);
            let started = Instant::now();
            client.request_password_reset(request).await.unwrap();
            times.push(started.elapsed());
        }
    }

    let [known, unknown] = times.map(|mut times| {
        times.sort();
        times[ROUNDS / 2]
    });
    // A look-up alone would be a fifth.
    assert!(
        unknown * 2 > known && known * 2 > unknown,
        "{unknown:?} for an unknown address, {known:?} for a known one"
    );
}
