//! Log-ins that take a second factor.

use bookmesh_proto::auth::v1::{
    ChangePasswordRequest, CompleteChallengeRequest, SessionTokens,
    audit_event::{Action, Outcome},
    challenge_service_client::ChallengeServiceClient,
};
use service::client::channel;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use crate::{
    app::{EMAIL, PASSWORD, TestApp, reason, violations, with_token},
    audit::list,
    second_factors::{Enrolled, code_of, enrolled, let_time_pass, wrong_code},
    tokens::claims,
};

pub(crate) fn challenges(app: &TestApp) -> ChallengeServiceClient<Channel> {
    ChallengeServiceClient::new(channel(&app.address).unwrap())
}

/// What a log-in with the right password gets.
pub(crate) async fn challenge_of(app: &TestApp) -> String {
    let refused = app.log_in(EMAIL, PASSWORD).await.unwrap_err();
    refused.get_details_error_info().unwrap().metadata["challenge"].clone()
}

pub(crate) async fn complete(
    app: &TestApp,
    challenge: &str,
    totp_code: &str,
    recovery_code: &str,
) -> Result<SessionTokens, Status> {
    let request = CompleteChallengeRequest {
        challenge: challenge.to_owned(),
        totp_code: totp_code.to_owned(),
        recovery_code: recovery_code.to_owned(),
        passkey: None,
    };
    Ok(challenges(app).complete_challenge(request).await?.into_inner())
}

pub(crate) async fn complete_with_recovery_code(
    app: &TestApp,
    challenge: &str,
    code: &str,
) -> Result<SessionTokens, Status> {
    complete(app, challenge, "", code).await
}

fn wrong() -> (Code, String) {
    (Code::InvalidArgument, "WRONG_CODE".to_owned())
}

fn invalid() -> (Code, String) {
    (Code::Unauthenticated, "INVALID_CHALLENGE".to_owned())
}

fn too_many() -> (Code, String) {
    (Code::ResourceExhausted, "TOO_MANY_GUESSES".to_owned())
}

#[tokio::test]
async fn a_password_alone_gets_a_challenge_that_a_code_completes() {
    let app = TestApp::start().await;
    let Enrolled { secret, .. } = enrolled(&app).await;

    let refused = app.log_in(EMAIL, PASSWORD).await.unwrap_err();

    let info = refused.get_details_error_info().unwrap();
    assert_eq!(
        reason::<()>(Err(refused)),
        (Code::Unauthenticated, "MFA_REQUIRED".to_owned())
    );
    assert_eq!(info.metadata["factors"], "totp,recovery_code");
    let tokens = complete(&app, &info.metadata["challenge"], &code_of(&secret), "")
        .await
        .unwrap();
    app.me(&tokens.access_token).await.unwrap();
    app.refresh(&tokens.refresh_token).await.unwrap();
    assert_eq!(
        claims(&app, &tokens.access_token).await["amr"],
        serde_json::json!(["pwd", "otp", "mfa"])
    );
    assert_eq!(tokens.recovery_codes_left, None);
}

#[tokio::test]
async fn a_wrong_password_is_told_nothing_of_factors() {
    let app = TestApp::start().await;
    enrolled(&app).await;

    let refused = app.log_in(EMAIL, "wrong horse battery").await;

    assert_eq!(
        reason(refused),
        (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned())
    );
}

#[tokio::test]
async fn a_recovery_code_says_how_many_are_left_and_is_used_once() {
    let app = TestApp::start().await;
    let Enrolled { codes, .. } = enrolled(&app).await;

    let tokens = complete_with_recovery_code(&app, &challenge_of(&app).await, &codes[0].to_lowercase())
        .await
        .unwrap();

    assert_eq!(tokens.recovery_codes_left, Some(9));
    let again = complete_with_recovery_code(&app, &challenge_of(&app).await, &codes[0]).await;
    assert_eq!(reason(again), wrong());
    let events = list(&app, &tokens.access_token).await;
    let summary: Vec<_> = events
        .iter()
        .take(5)
        .map(|event| (event.action(), event.outcome()))
        .collect();
    assert_eq!(
        summary,
        [
            (Action::LogIn, Outcome::Refused),
            (Action::LogInChallenged, Outcome::Succeeded),
            (Action::LogIn, Outcome::Succeeded),
            (Action::RecoveryCodeUsed, Outcome::Succeeded),
            (Action::LogInChallenged, Outcome::Succeeded),
        ]
    );
}

#[tokio::test]
async fn a_wrong_code_leaves_the_challenge_and_a_right_one_uses_it_up() {
    let app = TestApp::start().await;
    let Enrolled { secret, .. } = enrolled(&app).await;
    let challenge = challenge_of(&app).await;

    let refused = complete(&app, &challenge, &wrong_code(&secret), "").await.unwrap_err();
    complete(&app, &challenge, &code_of(&secret), "").await.unwrap();
    let_time_pass(&app).await;
    let again = complete(&app, &challenge, &code_of(&secret), "").await;

    assert_eq!(violations(&refused), ["totp_code must be right, and not used before"]);
    assert_eq!(reason::<()>(Err(refused)), wrong());
    assert_eq!(reason(again), invalid());
}

#[tokio::test]
async fn a_challenge_that_many_complete_at_once_opens_one_session() {
    let app = TestApp::start().await;
    let Enrolled { codes, .. } = enrolled(&app).await;
    let challenge = challenge_of(&app).await;

    let completions = codes[..8]
        .iter()
        .map(|code| complete_with_recovery_code(&app, &challenge, code));
    let answers = futures::future::join_all(completions).await;

    assert_eq!(answers.iter().flatten().count(), 1);
    for refused in answers.into_iter().filter(Result::is_err) {
        assert_eq!(reason(refused), invalid());
    }
}

#[tokio::test]
async fn a_challenge_ends_with_its_time_with_the_password_and_is_nothing_that_was_made_up() {
    let app = TestApp::start().await;
    let Enrolled { tokens, secret, .. } = enrolled(&app).await;
    let code = code_of(&secret);
    let of_the_old_password = challenge_of(&app).await;
    let change = ChangePasswordRequest {
        current_password: PASSWORD.to_owned(),
        new_password: "parsnip gravel oboe".to_owned(),
    };

    app.auth
        .clone()
        .change_password(with_token(change, &tokens.access_token))
        .await
        .unwrap();

    assert_eq!(reason(complete(&app, &of_the_old_password, &code, "").await), invalid());
    assert_eq!(reason(complete(&app, "made up", &code, "").await), invalid());
    let refused = app.log_in(EMAIL, "parsnip gravel oboe").await.unwrap_err();
    let late = &refused.get_details_error_info().unwrap().metadata["challenge"];
    app.run_as_admin("UPDATE login_challenges SET expires_at = now()").await;
    assert_eq!(reason(complete(&app, late, &code, "").await), invalid());
}

#[tokio::test]
async fn every_broken_rule_of_a_completion_is_named() {
    let app = TestApp::start().await;
    let complete = async |challenge, totp_code, recovery_code| {
        violations(&complete(&app, challenge, totp_code, recovery_code).await.unwrap_err())
    };

    assert_eq!(complete("", "123456", "").await, ["challenge must not be empty"]);
    assert_eq!(
        complete("x", "", "").await,
        ["totp_code must be given, or another second factor"]
    );
    assert_eq!(complete("x", "12 456", "").await, ["totp_code must be six digits"]);
    assert_eq!(
        complete("x", "123456", "x").await,
        ["totp_code must not be given with another second factor"]
    );
    assert_eq!(
        complete("x", "", "x").await,
        ["recovery_code must be 24 letters and digits, as they were shown"]
    );
}

#[tokio::test]
async fn checklist_6_5_1_one_code_in_50_requests_at_once_opens_one_session() {
    let app = TestApp::start().await;
    let Enrolled { secret, .. } = enrolled(&app).await;
    let mut challenges = Vec::new();
    for _ in 0..50 {
        challenges.push(challenge_of(&app).await);
    }
    let code = code_of(&secret);

    let completions = challenges.iter().map(|challenge| complete(&app, challenge, &code, ""));
    let answers = futures::future::join_all(completions).await;

    assert_eq!(answers.iter().flatten().count(), 1);
    for refused in answers.into_iter().filter(Result::is_err) {
        let refused = reason(refused);
        // A busy database turns some away unseen.
        let unseen = refused.0 == Code::Unavailable;
        assert!(unseen || refused == wrong() || refused == too_many(), "{refused:?}");
    }
}

#[tokio::test]
async fn checklist_6_6_3_of_1000_guesses_at_least_990_are_not_even_looked_at() {
    let app = TestApp::start().await;
    let Enrolled { secret, codes, .. } = enrolled(&app).await;
    let challenge = challenge_of(&app).await;
    let guess = wrong_code(&secret);

    let mut not_looked_at = 0;
    for _ in 0..1_000 {
        let refused = complete(&app, &challenge, &guess, "").await.unwrap_err();
        let wait = refused.get_details_retry_info().and_then(|info| info.retry_delay);
        let refused = reason::<()>(Err(refused));
        if refused == too_many() {
            assert!(wait.unwrap().as_secs() <= 301, "{wait:?}");
            not_looked_at += 1;
        } else {
            assert_eq!(refused, wrong());
        }
    }

    assert!(not_looked_at >= 990, "{not_looked_at}");
    let right = complete(&app, &challenge, &code_of(&secret), "").await;
    assert_eq!(reason(right), too_many(), "not even the right one");
    let by_other_means = complete_with_recovery_code(&app, &challenge, &codes[0]).await;
    by_other_means.unwrap();
}

#[tokio::test]
async fn a_pause_ends_and_the_next_wrong_code_makes_a_longer_one() {
    let app = TestApp::start().await;
    let Enrolled { secret, .. } = enrolled(&app).await;
    let challenge = challenge_of(&app).await;
    for _ in 0..5 {
        complete(&app, &challenge, &wrong_code(&secret), "").await.unwrap_err();
    }

    app.run_as_admin("UPDATE totp_factors SET blocked_until = now()").await;
    let sixth = complete(&app, &challenge, &wrong_code(&secret), "").await;
    let seventh = complete(&app, &challenge, &code_of(&secret), "").await.unwrap_err();

    assert_eq!(reason(sixth), wrong());
    let wait = seventh.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!((500..=601).contains(&wait.as_secs()), "{wait:?}");
    app.run_as_admin("UPDATE totp_factors SET blocked_until = now()").await;
    complete(&app, &challenge, &code_of(&secret), "").await.unwrap();
}

#[tokio::test]
async fn checklist_7_2_4_each_log_in_makes_a_session_of_its_own() {
    let app = TestApp::start().await;
    let Enrolled { tokens, secret, .. } = enrolled(&app).await;

    let other = complete(&app, &challenge_of(&app).await, &code_of(&secret), "")
        .await
        .unwrap();

    assert_ne!(tokens.session.unwrap().id, other.session.unwrap().id);
    assert_ne!(tokens.refresh_token, other.refresh_token);
}
