//! Passkeys: made, used alone and as a second factor, listed, named, removed.

use bookmesh_proto::auth::v1::{
    BeginPasskeyAuthenticationRequest, BeginPasskeyRegistrationRequest, CompleteChallengeRequest, CreatePasskeyRequest,
    CreatePasskeyResponse, CreatePasskeySessionRequest, DeletePasskeyRequest, ListPasskeysRequest, Passkey,
    PasskeyAnswer, PasskeyCeremony, SessionTokens, StepUpSessionRequest, UpdatePasskeyRequest,
    audit_event::{Action, Outcome},
    passkey_service_client::PasskeyServiceClient,
};
use prost_types::FieldMask;
use serde_json::{Value, json};
use service::client::channel;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use crate::{
    api_tokens::make,
    app::{EMAIL, PASSWORD, TestApp, reason, violations, with_token},
    audit::list as list_events,
    authenticator::Authenticator,
    challenges::{challenge_of, challenges, complete_with_recovery_code},
    tokens::claims,
};

fn passkeys(app: &TestApp) -> PasskeyServiceClient<Channel> {
    PasskeyServiceClient::new(channel(&app.address).unwrap())
}

pub(crate) async fn begin(app: &TestApp, token: &str) -> Result<PasskeyCeremony, Status> {
    let request = with_token(BeginPasskeyRegistrationRequest {}, token);
    Ok(passkeys(app).begin_passkey_registration(request).await?.into_inner())
}

pub(crate) async fn finish(
    app: &TestApp,
    token: &str,
    answer: PasskeyAnswer,
    name: &str,
) -> Result<CreatePasskeyResponse, Status> {
    let request = CreatePasskeyRequest {
        answer: Some(answer),
        name: name.to_owned(),
    };
    let answer = passkeys(app).create_passkey(with_token(request, token)).await?;
    Ok(answer.into_inner())
}

pub(crate) async fn add(
    app: &TestApp,
    token: &str,
    device: &mut Authenticator,
    name: &str,
) -> Result<CreatePasskeyResponse, Status> {
    let begun = begin(app, token).await?;
    let answer = PasskeyAnswer {
        credential: device.create(&begun.options),
        ceremony: begun.ceremony,
    };
    finish(app, token, answer, name).await
}

/// A registered user's session and her device.
pub(crate) async fn ada_with_a_passkey(app: &TestApp) -> (SessionTokens, Authenticator, CreatePasskeyResponse) {
    let ada = app.ada().await;
    let mut device = Authenticator::new();
    let added = add(app, &ada.access_token, &mut device, "Phone").await.unwrap();
    (ada, device, added)
}

async fn asked(app: &TestApp) -> PasskeyCeremony {
    let request = BeginPasskeyAuthenticationRequest {};
    passkeys(app)
        .begin_passkey_authentication(request)
        .await
        .unwrap()
        .into_inner()
}

pub(crate) async fn shown(app: &TestApp, device: &mut Authenticator) -> PasskeyAnswer {
    let begun = asked(app).await;
    PasskeyAnswer {
        credential: device.get(&begun.options),
        ceremony: begun.ceremony,
    }
}

pub(crate) async fn log_in(app: &TestApp, answer: PasskeyAnswer) -> Result<SessionTokens, Status> {
    let request = CreatePasskeySessionRequest { answer: Some(answer) };
    Ok(passkeys(app).create_passkey_session(request).await?.into_inner())
}

async fn complete(app: &TestApp, challenge: &str, answer: PasskeyAnswer) -> Result<SessionTokens, Status> {
    let request = CompleteChallengeRequest {
        challenge: challenge.to_owned(),
        passkey: Some(answer),
        ..CompleteChallengeRequest::default()
    };
    Ok(challenges(app).complete_challenge(request).await?.into_inner())
}

async fn list(app: &TestApp, token: &str) -> Vec<Passkey> {
    let request = with_token(ListPasskeysRequest {}, token);
    passkeys(app)
        .list_passkeys(request)
        .await
        .unwrap()
        .into_inner()
        .passkeys
}

async fn rename(app: &TestApp, token: &str, id: &str, name: &str) -> Result<Passkey, Status> {
    let passkey = Passkey {
        id: id.to_owned(),
        name: name.to_owned(),
        ..Passkey::default()
    };
    let request = UpdatePasskeyRequest {
        passkey: Some(passkey),
        update_mask: Some(FieldMask {
            paths: vec!["name".to_owned()],
        }),
    };
    let answer = passkeys(app).update_passkey(with_token(request, token)).await?;
    Ok(answer.into_inner())
}

pub(crate) async fn remove(app: &TestApp, token: &str, id: &str) -> Result<(), Status> {
    let request = with_token(DeletePasskeyRequest { id: id.to_owned() }, token);
    passkeys(app).delete_passkey(request).await.map(drop)
}

fn wrong() -> (Code, String) {
    (Code::InvalidArgument, "WRONG_PASSKEY".to_owned())
}

fn not_found() -> (Code, String) {
    (Code::NotFound, "NOT_FOUND".to_owned())
}

#[tokio::test]
async fn a_passkey_logs_in_without_an_address_and_without_a_password() {
    let app = TestApp::start().await;
    let (ada, mut device, added) = ada_with_a_passkey(&app).await;

    let answer = shown(&app, &mut device).await;
    let tokens = log_in(&app, answer).await.unwrap();

    assert_eq!(added.recovery_codes.unwrap().codes.len(), 10);
    assert_eq!(app.me(&tokens.access_token).await.unwrap().email, EMAIL);
    assert_ne!(tokens.session.unwrap().id, ada.session.unwrap().id);
    assert_eq!(
        claims(&app, &tokens.access_token).await["amr"],
        json!(["pop", "user", "mfa"])
    );
    let listed = list(&app, &tokens.access_token).await;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].last_used_time.is_some());
    make(&app, &tokens.access_token, "Backup", &["tasks:read"])
        .await
        .unwrap();
}

#[tokio::test]
async fn browsers_are_asked_for_a_key_that_knows_its_user_and_checks_who_it_is() {
    let app = TestApp::start().await;
    let (ada, device, _) = ada_with_a_passkey(&app).await;

    let creation: Value = serde_json::from_str(&begin(&app, &ada.access_token).await.unwrap().options).unwrap();
    let request: Value = serde_json::from_str(&asked(&app).await.options).unwrap();

    assert_eq!(creation["rp"], json!({"id": "localhost", "name": "Bookmesh"}));
    assert_eq!(creation["authenticatorSelection"]["residentKey"], "required");
    assert_eq!(creation["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(
        creation["excludeCredentials"].as_array().unwrap().len(),
        1,
        "{creation}"
    );
    assert_eq!(
        (
            &request["rpId"],
            &request["userVerification"],
            &request["allowCredentials"]
        ),
        (&json!("localhost"), &json!("required"), &json!([]))
    );
    assert_eq!(device.user_handle.len(), 16, "a user id, and no address");
}

#[tokio::test]
async fn a_passkey_makes_passwords_take_a_second_factor_and_is_one() {
    let app = TestApp::start().await;
    let (_, mut device, added) = ada_with_a_passkey(&app).await;

    let refused = app.log_in(EMAIL, PASSWORD).await.unwrap_err();
    let info = refused.get_details_error_info().unwrap();
    let answer = shown(&app, &mut device).await;
    let tokens = complete(&app, &info.metadata["challenge"], answer).await.unwrap();

    assert_eq!(info.metadata["factors"], "recovery_code,passkey");
    assert_eq!(
        claims(&app, &tokens.access_token).await["amr"],
        json!(["pwd", "pop", "mfa"])
    );
    let code = &added.recovery_codes.unwrap().codes[0];
    complete_with_recovery_code(&app, &challenge_of(&app).await, code)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_passkey_alone_steps_a_session_up() {
    let app = TestApp::start().await;
    let (ada, mut device, _) = ada_with_a_passkey(&app).await;
    app.run_as_admin("UPDATE sessions SET created_at = created_at - interval '301 seconds'")
        .await;
    let stale = make(&app, &ada.access_token, "Backup", &["tasks:read"]).await;

    let request = StepUpSessionRequest {
        passkey: Some(shown(&app, &mut device).await),
        ..StepUpSessionRequest::default()
    };
    let stepped_up = challenges(&app)
        .step_up_session(with_token(request, &ada.access_token))
        .await;

    assert_eq!(reason(stale), (Code::PermissionDenied, "STEP_UP_REQUIRED".to_owned()));
    let stepped_up = stepped_up.unwrap().into_inner();
    make(&app, &stepped_up.access_token, "Backup", &["tasks:read"])
        .await
        .unwrap();
    assert_eq!(
        claims(&app, &stepped_up.access_token).await["amr"],
        json!(["pop", "user", "mfa"])
    );
}

#[tokio::test]
async fn an_answer_counts_once_even_when_many_send_it_at_once() {
    let app = TestApp::start().await;
    let (_, mut device, _) = ada_with_a_passkey(&app).await;
    // Devices that keep no counter always say 0, so that only the ceremony tells a second use.
    device.has_counter = false;
    let answer = shown(&app, &mut device).await;

    let answers = futures::future::join_all((0..8).map(|_| log_in(&app, answer.clone()))).await;

    assert_eq!(answers.iter().flatten().count(), 1);
    for refused in answers.into_iter().filter(Result::is_err) {
        assert_eq!(reason(refused), wrong());
    }
}

#[tokio::test]
async fn a_counter_that_goes_back_is_refused_and_noted() {
    let app = TestApp::start().await;
    let (ada, mut device, added) = ada_with_a_passkey(&app).await;
    let mut stolen = device.copy();
    for _ in 0..2 {
        let answer = shown(&app, &mut device).await;
        log_in(&app, answer).await.unwrap();
    }

    let answer = shown(&app, &mut stolen).await;
    let refused = log_in(&app, answer).await;

    assert_eq!(reason(refused), wrong());
    let events = list_events(&app, &ada.access_token).await;
    assert_eq!(
        (events[0].action(), events[0].outcome()),
        (Action::PasskeyRegressed, Outcome::Refused)
    );
    assert_eq!(events[0].object_id, added.passkey.unwrap().id);
}

#[tokio::test]
async fn another_site_another_key_another_user_and_no_finger_are_refused() {
    let app = TestApp::start().await;
    let (_, mut device, _) = ada_with_a_passkey(&app).await;
    app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = app.log_in("bob@example.com", PASSWORD).await.unwrap();
    let mut his = Authenticator::new();
    add(&app, &bob.access_token, &mut his, "Phone").await.unwrap();

    let mut elsewhere = device.copy();
    elsewhere.origin = "http://localhost.example.com".to_owned();
    let mut without_finger = device.copy();
    without_finger.asks_for_a_finger = false;
    let mut another_key = Authenticator::new();
    another_key.credential_id.clone_from(&device.credential_id);
    another_key.user_handle.clone_from(&device.user_handle);
    let mut as_ada = his.copy();
    as_ada.user_handle.clone_from(&device.user_handle);
    for wrong_one in [&mut elsewhere, &mut without_finger, &mut another_key, &mut as_ada] {
        let answer = shown(&app, wrong_one).await;
        assert_eq!(reason(log_in(&app, answer).await), wrong());
    }
    let challenge = challenge_of(&app).await;
    let his_answer = shown(&app, &mut his).await;
    assert_eq!(reason(complete(&app, &challenge, his_answer).await), wrong());
    let answer = shown(&app, &mut device).await;
    complete(&app, &challenge, answer).await.unwrap();
}

#[tokio::test]
async fn a_ceremony_is_for_what_it_was_begun_for_and_by_whom() {
    let app = TestApp::start().await;
    let (ada, mut device, _) = ada_with_a_passkey(&app).await;
    let other = app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = app.log_in(&other.email, PASSWORD).await.unwrap();
    let hers = begin(&app, &ada.access_token).await.unwrap();
    let mut new = Authenticator::new();
    let answer = PasskeyAnswer {
        credential: new.create(&hers.options),
        ceremony: hers.ceremony.clone(),
    };

    let of_another_user = finish(&app, &bob.access_token, answer.clone(), "Mine").await;
    let authentication = asked(&app).await;
    let of_another_kind = PasskeyAnswer {
        credential: device.get(&authentication.options),
        ceremony: hers.ceremony,
    };
    let of_another_kind = log_in(&app, of_another_kind).await;

    assert_eq!(reason(of_another_user), wrong());
    assert_eq!(reason(of_another_kind), wrong());
    finish(&app, &ada.access_token, answer.clone(), "Key").await.unwrap();
    let again = finish(&app, &ada.access_token, answer, "Key").await;
    assert_eq!(reason(again), wrong());
}

#[tokio::test]
async fn every_broken_rule_of_a_passkey_is_named() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    let begun = begin(&app, &ada.access_token).await.unwrap();
    let answer = |credential: &str| PasskeyAnswer {
        ceremony: begun.ceremony.clone(),
        credential: credential.to_owned(),
    };

    let nameless = finish(&app, &ada.access_token, answer("{}"), " ").await.unwrap_err();
    let no_json = finish(&app, &ada.access_token, answer("no json"), "Phone")
        .await
        .unwrap_err();

    assert_eq!(violations(&nameless), ["name must not be empty"]);
    assert_eq!(
        violations(&no_json),
        ["answer.credential must be the JSON of a PublicKeyCredential that a browser made"]
    );
}

#[tokio::test]
async fn passkeys_are_listed_named_and_removed_by_their_user_alone() {
    let app = TestApp::start().await;
    let (ada, _, added) = ada_with_a_passkey(&app).await;
    let id = added.passkey.unwrap().id;
    app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = app.log_in("bob@example.com", PASSWORD).await.unwrap();

    for id in [id.as_str(), "01890a5d-ac96-774b-bcce-b302099a8057", "nonsense", ""] {
        assert_eq!(reason(rename(&app, &bob.access_token, id, "Mine").await), not_found());
        assert_eq!(reason(remove(&app, &bob.access_token, id).await), not_found());
    }
    assert_eq!(list(&app, &bob.access_token).await, []);
    rename(&app, &ada.access_token, &id, "Old phone").await.unwrap();
    assert_eq!(list(&app, &ada.access_token).await[0].name, "Old phone");
    remove(&app, &ada.access_token, &id).await.unwrap();
    assert_eq!(list(&app, &ada.access_token).await, []);
    app.log_in(EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn checklist_7_5_1_adding_and_removing_a_passkey_takes_a_recent_proof() {
    let app = TestApp::start().await;
    let (ada, _, added) = ada_with_a_passkey(&app).await;
    app.run_as_admin("UPDATE sessions SET created_at = created_at - interval '301 seconds'")
        .await;
    let required = (Code::PermissionDenied, "STEP_UP_REQUIRED".to_owned());

    let adding = begin(&app, &ada.access_token).await;
    let removing = remove(&app, &ada.access_token, &added.passkey.unwrap().id).await;

    assert_eq!(reason(adding), required);
    assert_eq!(reason(removing), required);
}

#[tokio::test]
async fn there_is_an_end_to_passkeys() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    for number in 0..20 {
        add(
            &app,
            &ada.access_token,
            &mut Authenticator::new(),
            &format!("Key {number}"),
        )
        .await
        .unwrap();
    }

    let refused = begin(&app, &ada.access_token).await;

    assert_eq!(
        reason(refused),
        (Code::FailedPrecondition, "TOO_MANY_PASSKEYS".to_owned())
    );
}
