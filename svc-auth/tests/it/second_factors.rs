//! An app that makes codes, and recovery codes: enrolled, confirmed, made again, removed.

use std::collections::BTreeSet;

use aws_lc_rs::hmac;
use base32::Alphabet;
use bookmesh_proto::auth::v1::{
    ConfirmTotpRequest, CreateRecoveryCodesRequest, DeleteTotpRequest, EnrolTotpRequest, GetSecondFactorsRequest,
    RecoveryCodes, SecondFactors, SessionTokens, TotpEnrolment,
    second_factor_service_client::SecondFactorServiceClient,
};
use service::{client::channel, clock};
use sqlx::Row;
use tonic::{Code, Status, transport::Channel};

use crate::{
    app::{EMAIL, PASSWORD, TestApp, reason, violations, with_token},
    challenges::{challenge_of, complete_with_recovery_code},
};

/// Somebody whose log-ins take a code.
pub(crate) struct Enrolled {
    pub tokens: SessionTokens,
    pub secret: String,
    pub codes: Vec<String>,
}

fn factors(app: &TestApp) -> SecondFactorServiceClient<Channel> {
    SecondFactorServiceClient::new(channel(&app.address).unwrap())
}

pub(crate) async fn enrol(app: &TestApp, token: &str) -> Result<TotpEnrolment, Status> {
    let answer = factors(app).enrol_totp(with_token(EnrolTotpRequest {}, token)).await?;
    Ok(answer.into_inner())
}

pub(crate) async fn confirm(app: &TestApp, token: &str, code: &str) -> Result<Vec<String>, Status> {
    let request = ConfirmTotpRequest { code: code.to_owned() };
    let answer = factors(app).confirm_totp(with_token(request, token)).await?;
    Ok(answer.into_inner().codes)
}

pub(crate) async fn remove(app: &TestApp, token: &str) -> Result<(), Status> {
    let request = with_token(DeleteTotpRequest {}, token);
    factors(app).delete_totp(request).await.map(drop)
}

pub(crate) async fn new_recovery_codes(app: &TestApp, token: &str) -> Result<RecoveryCodes, Status> {
    let request = with_token(CreateRecoveryCodesRequest {}, token);
    Ok(factors(app).create_recovery_codes(request).await?.into_inner())
}

async fn get(app: &TestApp, token: &str) -> SecondFactors {
    let request = with_token(GetSecondFactorsRequest {}, token);
    factors(app).get_second_factors(request).await.unwrap().into_inner()
}

/// The code of RFC 6238 that an app shows now, written again here.
pub(crate) fn code_of(secret: &str) -> String {
    code_at(secret, clock::now().unix_timestamp() / 30)
}

fn code_at(secret: &str, step: i64) -> String {
    let secret = base32::decode(Alphabet::Rfc4648 { padding: false }, secret).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(tag.as_ref()[19] & 15);
    let bytes: [u8; 4] = tag.as_ref()[offset..offset + 4].try_into().unwrap();
    format!("{:06}", (u32::from_be_bytes(bytes) & 0x7fff_ffff) % 1_000_000)
}

/// A code that is not the one of any step that counts.
pub(crate) fn wrong_code(secret: &str) -> String {
    let step = clock::now().unix_timestamp() / 30;
    let near: Vec<String> = (step - 2..=step + 2).map(|step| code_at(secret, step)).collect();
    let wrong = (0..9).map(|number| format!("{number:06}"));
    wrong.into_iter().find(|code| !near.contains(code)).unwrap()
}

/// As if the code of the current 30 seconds had not been used yet.
pub(crate) async fn let_time_pass(app: &TestApp) {
    app.run_as_admin("UPDATE totp_factors SET last_used_step = 0").await;
}

/// Answers the secret.
pub(crate) async fn enrol_and_confirm(app: &TestApp, token: &str) -> String {
    let secret = enrol(app, token).await.unwrap().secret;
    confirm(app, token, &code_of(&secret)).await.unwrap();
    let_time_pass(app).await;
    secret
}

pub(crate) async fn enrolled(app: &TestApp) -> Enrolled {
    let tokens = app.ada().await;
    let secret = enrol(app, &tokens.access_token).await.unwrap().secret;
    let codes = confirm(app, &tokens.access_token, &code_of(&secret)).await.unwrap();
    let_time_pass(app).await;
    Enrolled { tokens, secret, codes }
}

#[tokio::test]
async fn an_app_is_told_its_secret_by_hand_by_uri_and_by_qr_code() {
    let app = TestApp::start().await;
    let ada = app.ada().await;

    let enrolment = enrol(&app, &ada.access_token).await.unwrap();

    let secret = &enrolment.secret;
    assert_eq!(secret.len(), 32, "160 bits: {secret}");
    assert_eq!(
        enrolment.uri,
        format!("otpauth://totp/Bookmesh:ada%40example.com?secret={secret}&issuer=Bookmesh")
    );
    assert!(enrolment.qr_svg.starts_with("<svg xmlns"), "{}", enrolment.qr_svg);
}

#[tokio::test]
async fn a_secret_counts_for_nothing_until_a_code_of_it_was_shown() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    let first = enrol(&app, &ada.access_token).await.unwrap().secret;

    app.log_in(EMAIL, PASSWORD).await.unwrap();
    let second = enrol(&app, &ada.access_token).await.unwrap().secret;

    assert_ne!(first, second);
    let refused = confirm(&app, &ada.access_token, &wrong_code(&second))
        .await
        .unwrap_err();
    assert_eq!(violations(&refused), ["code must be right, and not used before"]);
    assert_eq!(
        reason::<()>(Err(refused)),
        (Code::InvalidArgument, "WRONG_CODE".to_owned())
    );
    let malformed = confirm(&app, &ada.access_token, "12345").await.unwrap_err();
    assert_eq!(violations(&malformed), ["code must be six digits"]);
    assert_eq!(get(&app, &ada.access_token).await, SecondFactors::default());
}

#[tokio::test]
async fn a_confirmed_app_brings_ten_recovery_codes_and_is_the_only_one() {
    let app = TestApp::start().await;
    let Enrolled { tokens, codes, .. } = enrolled(&app).await;

    let factors = get(&app, &tokens.access_token).await;

    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 10);
    assert_eq!(factors.recovery_codes_left, 10);
    assert!(factors.totp_confirm_time.is_some());
    let again = enrol(&app, &tokens.access_token).await;
    assert_eq!(reason(again), (Code::AlreadyExists, "TOTP_ENROLLED".to_owned()));
}

#[tokio::test]
async fn only_the_session_that_enrolled_confirms_and_only_for_a_quarter_of_an_hour() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    let other = app.log_in(EMAIL, PASSWORD).await.unwrap();
    let secret = enrol(&app, &ada.access_token).await.unwrap().secret;
    let code = code_of(&secret);
    let not_found = (Code::NotFound, "NOT_FOUND".to_owned());

    assert_eq!(reason(confirm(&app, &other.access_token, &code).await), not_found);
    app.run_as_admin("UPDATE totp_factors SET enrolled_at = enrolled_at - interval '901 seconds'")
        .await;
    assert_eq!(reason(confirm(&app, &ada.access_token, &code).await), not_found);
}

#[tokio::test]
async fn without_its_last_factor_an_account_needs_its_password_alone() {
    let app = TestApp::start().await;
    let Enrolled { tokens, codes, .. } = enrolled(&app).await;
    let challenge = challenge_of(&app).await;

    remove(&app, &tokens.access_token).await.unwrap();
    remove(&app, &tokens.access_token).await.unwrap();

    assert_eq!(get(&app, &tokens.access_token).await, SecondFactors::default());
    app.log_in(EMAIL, PASSWORD).await.unwrap();
    let late = complete_with_recovery_code(&app, &challenge, &codes[0]).await;
    assert_eq!(reason(late), (Code::InvalidArgument, "WRONG_CODE".to_owned()));
}

#[tokio::test]
async fn new_recovery_codes_take_the_place_of_the_old_ones() {
    let app = TestApp::start().await;
    let Enrolled { tokens, codes: old, .. } = enrolled(&app).await;

    let new = new_recovery_codes(&app, &tokens.access_token).await.unwrap().codes;

    assert_eq!(new.len(), 10);
    let challenge = challenge_of(&app).await;
    let refused = complete_with_recovery_code(&app, &challenge, &old[0]).await;
    assert_eq!(reason(refused), (Code::InvalidArgument, "WRONG_CODE".to_owned()));
    complete_with_recovery_code(&app, &challenge, &new[0]).await.unwrap();
}

#[tokio::test]
async fn recovery_codes_stand_in_for_a_factor_and_there_must_be_one() {
    let app = TestApp::start().await;
    let ada = app.ada().await;

    let refused = new_recovery_codes(&app, &ada.access_token).await;

    assert_eq!(
        reason(refused),
        (Code::FailedPrecondition, "NO_SECOND_FACTOR".to_owned())
    );
}

#[tokio::test]
async fn checklist_6_5_2_and_6_5_3_a_dump_of_the_database_holds_no_code_and_no_secret() {
    let app = TestApp::start().await;
    let Enrolled { secret, codes, .. } = enrolled(&app).await;

    let dump = "SELECT (SELECT string_agg(totp_factors::text, '') FROM totp_factors)
                    || (SELECT string_agg(recovery_codes::text, '') FROM recovery_codes)";
    let dump: String = sqlx::query(dump)
        .fetch_one(&mut app.admin().await)
        .await
        .unwrap()
        .get(0);

    let alphabet = Alphabet::Rfc4648 { padding: false };
    let plain = codes.iter().map(|code| code.replace('-', "")).chain([secret]);
    for text in plain {
        let bytes = base32::decode(alphabet, &text).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!dump.contains(&text) && !dump.contains(&hex), "{text}");
    }
}

#[tokio::test]
async fn checklist_6_5_4_a_recovery_code_that_many_redeem_at_once_opens_one_session() {
    let app = TestApp::start().await;
    let Enrolled { codes, .. } = enrolled(&app).await;
    let mut challenges = Vec::new();
    for _ in 0..8 {
        challenges.push(challenge_of(&app).await);
    }

    let redeemed = challenges
        .iter()
        .map(|challenge| complete_with_recovery_code(&app, challenge, &codes[3]));
    let answers = futures::future::join_all(redeemed).await;

    let opened: Vec<_> = answers.iter().flatten().collect();
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0].recovery_codes_left, Some(9));
    for refused in answers.into_iter().filter(Result::is_err) {
        assert_eq!(reason(refused), (Code::InvalidArgument, "WRONG_CODE".to_owned()));
    }
}

#[tokio::test]
async fn another_users_factors_are_neither_seen_nor_touched() {
    let app = TestApp::start().await;
    let ada = enrolled(&app).await;
    app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = app.log_in("bob@example.com", PASSWORD).await.unwrap();

    remove(&app, &bob.access_token).await.unwrap();
    enrol(&app, &bob.access_token).await.unwrap();

    assert_eq!(get(&app, &bob.access_token).await, SecondFactors::default());
    let hers = confirm(&app, &bob.access_token, &code_of(&ada.secret)).await;
    assert_eq!(reason(hers), (Code::InvalidArgument, "WRONG_CODE".to_owned()));
    assert_eq!(get(&app, &ada.tokens.access_token).await.recovery_codes_left, 10);
}
