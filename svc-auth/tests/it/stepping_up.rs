//! What takes a proof of the last five minutes, and giving one.

use bookmesh_proto::auth::v1::{
    AuditEvent, ChangePasswordRequest, PasskeyAnswer, SessionTokens, StepUpSessionRequest,
    audit_event::{Action, Outcome},
};
use serde_json::json;
use tonic::{Code, Status};

use crate::{
    api_tokens::make,
    app::{EMAIL, PASSWORD, TestApp, reason, violations, with_token},
    audit::list,
    authenticator::Authenticator,
    challenges::challenges,
    oidc::{Setup, provider::visit},
    passkeys,
    second_factors::{Enrolled, code_of, confirm, enrol, enrolled, new_recovery_codes, remove, wrong_code},
    tokens::claims,
};

async fn step_up(app: &TestApp, token: &str, request: StepUpSessionRequest) -> Result<SessionTokens, Status> {
    let answer = challenges(app).step_up_session(with_token(request, token)).await?;
    Ok(answer.into_inner())
}

fn password(password: &str) -> StepUpSessionRequest {
    StepUpSessionRequest {
        password: password.to_owned(),
        ..StepUpSessionRequest::default()
    }
}

fn password_and_code(totp_code: &str) -> StepUpSessionRequest {
    StepUpSessionRequest {
        totp_code: totp_code.to_owned(),
        ..password(PASSWORD)
    }
}

fn required() -> (Code, String) {
    (Code::PermissionDenied, "STEP_UP_REQUIRED".to_owned())
}

/// As if all that users have shown had been shown five minutes ago.
async fn grow_stale(app: &TestApp) {
    app.run_as_admin(
        "UPDATE sessions SET created_at = created_at - interval '301 seconds',
                             reauthenticated_at = reauthenticated_at - interval '301 seconds'",
    )
    .await;
}

async fn change_password(app: &TestApp, token: &str) -> Result<(), Status> {
    let request = ChangePasswordRequest {
        current_password: PASSWORD.to_owned(),
        new_password: "parsnip gravel oboe".to_owned(),
    };
    let request = with_token(request, token);
    app.auth.clone().change_password(request).await.map(drop)
}

/// Everything that takes a recent proof, tried one after the other; the password is changed last.
async fn try_all(app: &TestApp, token: &str) -> Vec<Result<(), Status>> {
    vec![
        new_recovery_codes(app, token).await.map(drop),
        remove(app, token).await,
        enrol(app, token).await.map(drop),
        make(app, token, "Backup", &["tasks:read"]).await.map(drop),
        change_password(app, token).await,
    ]
}

#[tokio::test]
async fn checklist_7_5_1_and_7_5_3_a_stale_log_in_changes_nothing_sensitive_until_it_is_stepped_up() {
    let app = TestApp::start().await;
    let Enrolled { tokens, secret, .. } = enrolled(&app).await;
    grow_stale(&app).await;

    for refused in try_all(&app, &tokens.access_token).await {
        assert_eq!(reason(refused), required());
    }
    let stepped_up = step_up(&app, &tokens.access_token, password_and_code(&code_of(&secret)))
        .await
        .unwrap();

    for done in try_all(&app, &stepped_up.access_token).await {
        done.unwrap();
    }
}

#[tokio::test]
async fn each_refusal_is_noted_as_what_was_tried() {
    let app = TestApp::start().await;
    let Enrolled { tokens, .. } = enrolled(&app).await;
    grow_stale(&app).await;

    try_all(&app, &tokens.access_token).await;

    let events = list(&app, &tokens.access_token).await;
    let summary: Vec<_> = events
        .iter()
        .take(5)
        .map(|event| (event.action(), event.outcome()))
        .collect();
    assert_eq!(
        summary,
        [
            Action::PasswordChanged,
            Action::ApiTokenCreated,
            Action::TotpEnrolled,
            Action::TotpRemoved,
            Action::RecoveryCodesCreated,
        ]
        .map(|action| (action, Outcome::Refused))
    );
}

#[tokio::test]
async fn a_fresh_password_does_not_do_for_an_account_with_a_second_factor() {
    let app = TestApp::start().await;
    let before = {
        app.register(EMAIL, PASSWORD).await.unwrap();
        app.log_in(EMAIL, PASSWORD).await.unwrap()
    };
    let enrolling = app.log_in(EMAIL, PASSWORD).await.unwrap();
    let secret = crate::second_factors::enrol_and_confirm(&app, &enrolling.access_token).await;

    let refused = make(&app, &before.access_token, "Backup", &["tasks:read"]).await;
    let password_alone = step_up(&app, &before.access_token, password(PASSWORD))
        .await
        .unwrap_err();
    let stepped_up = step_up(&app, &before.access_token, password_and_code(&code_of(&secret))).await;

    assert_eq!(reason(refused), required());
    assert_eq!(
        violations(&password_alone),
        ["totp_code must be given, or another second factor: the account has one"]
    );
    let stepped_up = stepped_up.unwrap();
    make(&app, &stepped_up.access_token, "Backup", &["tasks:read"])
        .await
        .unwrap();
    // The session that confirmed has shown the factor just then.
    make(&app, &enrolling.access_token, "Backup", &["tasks:read"])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_step_up_is_told_by_the_tokens_and_a_refresh_makes_nothing_newer() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    grow_stale(&app).await;

    let stepped_up = step_up(&app, &ada.access_token, password(PASSWORD)).await.unwrap();
    app.run_as_admin("UPDATE sessions SET reauthenticated_at = reauthenticated_at - interval '1 hour'")
        .await;
    let refreshed = app.refresh(&stepped_up.refresh_token).await.unwrap();

    let (first, second) = (
        claims(&app, &stepped_up.access_token).await,
        claims(&app, &refreshed.access_token).await,
    );
    assert_eq!(first["auth_time"], first["iat"]);
    assert_eq!(
        first["auth_time"].as_i64().unwrap() - second["auth_time"].as_i64().unwrap(),
        3_600
    );
    assert_eq!(second["amr"], json!(["pwd"]));
    let refused = make(&app, &refreshed.access_token, "Backup", &["tasks:read"]).await;
    assert_eq!(reason(refused), required());
}

#[tokio::test]
async fn checklist_7_2_4_a_step_up_replaces_the_tokens_of_its_session() {
    let app = TestApp::start().await;
    let ada = app.ada().await;

    let stepped_up = step_up(&app, &ada.access_token, password(PASSWORD)).await.unwrap();

    assert_ne!(stepped_up.refresh_token, ada.refresh_token);
    assert_ne!(stepped_up.access_token, ada.access_token);
    assert_eq!(
        stepped_up.session.map(|session| session.id),
        ada.session.map(|session| session.id)
    );
    app.refresh(&stepped_up.refresh_token).await.unwrap();
    let replayed = app.refresh(&ada.refresh_token).await;
    assert_eq!(
        reason(replayed),
        (Code::Unauthenticated, "REFRESH_TOKEN_REUSED".to_owned())
    );
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_code_step_nothing_up_and_are_noted() {
    let app = TestApp::start().await;
    let Enrolled { tokens, secret, .. } = enrolled(&app).await;
    grow_stale(&app).await;
    let wrong_password = StepUpSessionRequest {
        totp_code: code_of(&secret),
        ..password("wrong horse battery")
    };

    let by_password = step_up(&app, &tokens.access_token, wrong_password).await.unwrap_err();
    let by_code = step_up(&app, &tokens.access_token, password_and_code(&wrong_code(&secret))).await;
    let none = step_up(&app, &tokens.access_token, StepUpSessionRequest::default()).await;

    assert_eq!(
        violations(&by_password),
        ["password must be the password of this account"]
    );
    assert_eq!(
        reason::<()>(Err(by_password)),
        (Code::InvalidArgument, "WRONG_PASSWORD".to_owned())
    );
    assert_eq!(reason(by_code), (Code::InvalidArgument, "WRONG_CODE".to_owned()));
    assert_eq!(violations(&none.unwrap_err()), ["password must not be empty"]);
    let events = list(&app, &tokens.access_token).await;
    for event in &events[..2] {
        assert_eq!((event.action(), event.outcome()), (Action::SteppedUp, Outcome::Refused));
    }
    let refused = make(&app, &tokens.access_token, "Backup", &["tasks:read"]).await;
    assert_eq!(reason(refused), required());
}

#[tokio::test]
async fn a_session_that_has_ended_steps_up_no_more() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    app.log_out(&ada.access_token).await.unwrap();

    let refused = step_up(&app, &ada.access_token, password(PASSWORD)).await;

    assert_eq!(reason(refused), (Code::Unauthenticated, "SESSION_ENDED".to_owned()));
}

#[tokio::test]
async fn guesses_of_a_step_up_are_counted() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;

    let mut answers = Vec::new();
    for _ in 0..6 {
        let wrong = password("not the password of this person");
        answers.push(reason(step_up(&app, &tokens.access_token, wrong).await).1);
    }
    let right = step_up(&app, &tokens.access_token, password(PASSWORD)).await;

    assert_eq!(answers[..5], ["WRONG_PASSWORD"; 5]);
    assert_eq!(answers[5], "TOO_MANY_ATTEMPTS");
    assert_eq!(
        reason(right).1,
        "TOO_MANY_ATTEMPTS",
        "a guess that waits is not looked at"
    );
}

#[tokio::test]
async fn a_session_ends_nothing_it_has_begun_once_the_account_has_a_factor_that_it_has_not_shown() {
    let setup = Setup::start().await;
    let app = &setup.app;
    let weak = app.ada().await.access_token;
    let owners = app.log_in(EMAIL, PASSWORD).await.unwrap().access_token;
    let begun = passkeys::begin(app, &weak).await.unwrap();
    let attempt = setup.begin_link(&weak, "company").await.unwrap();
    let back = visit(&attempt.authorization_url).await;
    let secret = enrol(app, &weak).await.unwrap().secret;

    let mut owners_device = Authenticator::new();
    passkeys::add(app, &owners, &mut owners_device, "Owner's")
        .await
        .unwrap();

    let answer = PasskeyAnswer {
        credential: Authenticator::new().create(&begun.options),
        ceremony: begun.ceremony,
    };
    let passkey = passkeys::finish(app, &weak, answer, "Another").await;
    let totp = confirm(app, &weak, &code_of(&secret)).await;
    let identity = setup.complete_link(&weak, &attempt, &back).await;
    assert_eq!(reason(passkey), required());
    assert_eq!(reason(totp), required());
    assert_eq!(reason(identity), required());
    let events = list(app, &owners).await;
    for action in [Action::PasskeyAdded, Action::TotpEnrolled, Action::IdentityLinked] {
        let is_refusal = |event: &AuditEvent| (event.action(), event.outcome()) == (action, Outcome::Refused);
        assert!(events.iter().any(is_refusal), "{action:?}");
    }
}
