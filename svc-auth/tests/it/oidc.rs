//! Logging in at a provider.

mod audit;
mod faults;
mod isolation;
mod key;
mod linking;
pub(crate) mod provider;
mod reload;
mod tokens;

use std::{fs, path::Path, sync::Arc};

use bookmesh_proto::auth::v1::{
    CompleteChallengeRequest, CompleteOidcLogInRequest, ListOidcProvidersRequest, OidcAttempt, SessionTokens,
    StartOidcLogInRequest, oidc_service_client::OidcServiceClient,
};
use futures::future::join_all;
use serde_json::json;
use service::client::channel;
use sqlx::Row;
use tempfile::TempDir;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use self::{
    key::Key,
    provider::{Back, CLIENT_ID, CLIENT_SECRET, Fault, REDIRECT_URI, TestProvider, visit},
};
use crate::{
    app::{EMAIL, PASSWORD, TestApp, reason, violations},
    challenges::challenges,
    deletion::delete,
    email_changes::change,
    second_factors::{code_of, enrol_and_confirm},
    tokens::claims,
};

/// A svc-auth with two providers, `company` and `club`.
pub(crate) struct Setup {
    pub app: TestApp,
    pub client: OidcServiceClient<Channel>,
    pub company: TestProvider,
    pub club: TestProvider,
    _folder: TempDir,
}

impl Setup {
    pub(crate) async fn start() -> Setup {
        Setup::start_with(&[]).await
    }

    pub(crate) async fn start_with(variables: &[(&str, &str)]) -> Setup {
        let (company, club) = (
            TestProvider::start(Key::es256()).await,
            TestProvider::start(Key::eddsa()).await,
        );
        let folder = TempDir::new().unwrap();
        let file = write_providers(folder.path(), &[("company", &company), ("club", &club)]);
        let variables = [variables, &[("AUTH_OIDC_PROVIDERS", file.as_str())]].concat();
        let app = TestApp::start_with(&variables).await;
        Setup {
            client: OidcServiceClient::new(channel(&app.address).unwrap()),
            app,
            company,
            club,
            _folder: folder,
        }
    }

    pub(crate) async fn begin(&self, provider_id: &str) -> Result<OidcAttempt, Status> {
        let request = StartOidcLogInRequest {
            provider_id: provider_id.to_owned(),
            redirect_uri: REDIRECT_URI.to_owned(),
        };
        Ok(self.client.clone().start_oidc_log_in(request).await?.into_inner())
    }

    pub(crate) async fn complete(&self, attempt: &OidcAttempt, back: &Back) -> Result<SessionTokens, Status> {
        let request = CompleteOidcLogInRequest {
            state: back.state.clone(),
            code: back.code.clone(),
            binding: attempt.binding.clone(),
            iss: back.iss.clone(),
        };
        Ok(self.client.clone().complete_oidc_log_in(request).await?.into_inner())
    }

    /// The whole way there and back.
    pub(crate) async fn log_in(&self, provider_id: &str) -> Result<SessionTokens, Status> {
        let attempt = self.begin(provider_id).await?;
        let back = visit(&attempt.authorization_url).await;
        self.complete(&attempt, &back).await
    }
}

/// Answers the path of the file.
pub(crate) fn write_providers(folder: &Path, providers: &[(&str, &TestProvider)]) -> String {
    fs::write(folder.join("secret"), CLIENT_SECRET).unwrap();
    let entries = providers.iter().map(|(id, provider)| {
        let issuer = &provider.issuer;
        format!(
            "[[provider]]\nid = '{id}'\ndisplay_name = 'The {id}'\nissuer = '{issuer}'\nclient_id = '{CLIENT_ID}'\n\
             client_secret_file = 'secret'\nredirect_uris = ['{REDIRECT_URI}']\n"
        )
    });
    let file = folder.join("providers.toml");
    fs::write(&file, entries.collect::<String>()).unwrap();
    file.display().to_string()
}

pub(crate) fn failed() -> (Code, String) {
    (Code::Unauthenticated, "OIDC_LOG_IN_FAILED".to_owned())
}

pub(crate) fn unknown() -> (Code, String) {
    (Code::Unauthenticated, "OIDC_ATTEMPT_UNKNOWN".to_owned())
}

#[tokio::test]
async fn providers_are_listed_as_the_operator_gave_them() {
    let setup = Setup::start().await;

    let listed = setup
        .client
        .clone()
        .list_oidc_providers(ListOidcProvidersRequest {})
        .await;

    let listed = listed.unwrap().into_inner().oidc_providers;
    let listed: Vec<(&str, &str)> = listed
        .iter()
        .map(|provider| (provider.id.as_str(), provider.display_name.as_str()))
        .collect();
    assert_eq!(listed, [("company", "The company"), ("club", "The club")]);
}

#[tokio::test]
async fn without_a_file_there_are_no_providers() {
    let app = TestApp::start().await;
    let mut client = OidcServiceClient::new(channel(&app.address).unwrap());

    let listed = client.list_oidc_providers(ListOidcProvidersRequest {}).await.unwrap();

    assert!(listed.into_inner().oidc_providers.is_empty());
}

#[tokio::test]
async fn the_first_log_in_makes_an_account_and_the_next_one_finds_it() {
    let setup = Setup::start().await;
    setup
        .company
        .sign_in(json!({"sub": "7", "email": "Ada@example.com", "email_verified": true, "name": "Ada\n Lovelace"}));

    let first = setup.log_in("company").await.unwrap();
    let again = setup.log_in("company").await.unwrap();

    let user = setup.app.me(&first.access_token).await.unwrap();
    assert_eq!(
        (user.email.as_str(), user.display_name.as_str()),
        ("Ada@example.com", "Ada Lovelace")
    );
    assert_eq!(setup.app.me(&again.access_token).await.unwrap().id, user.id);
    assert_ne!(first.session.unwrap().id, again.session.unwrap().id);
    setup.app.refresh(&again.refresh_token).await.unwrap();
    // Everything that a provider publishes is asked for once.
    assert_eq!(setup.company.calls(), [1, 1]);
}

#[tokio::test]
async fn tokens_signed_with_each_kind_of_key_are_taken() {
    for key in [Key::eddsa(), Key::es256(), Key::rs256()] {
        let setup = Setup::start().await;
        let algorithm = key.algorithm();
        setup.company.rotate(key);

        let tokens = setup.log_in("company").await;

        assert!(tokens.is_ok(), "{algorithm}: {tokens:?}");
    }
}

#[tokio::test]
async fn checklist_6_8_1_one_subject_at_two_issuers_is_two_users() {
    let setup = Setup::start().await;
    for provider in [&setup.company, &setup.club] {
        provider.sign_in(json!({"sub": "1"}));
    }

    let company = setup.log_in("company").await.unwrap();
    let club = setup.log_in("club").await.unwrap();

    let (company, club) = (
        setup.app.me(&company.access_token).await.unwrap(),
        setup.app.me(&club.access_token).await.unwrap(),
    );
    assert_ne!(company.id, club.id);
    assert_eq!((company.email, club.email), (String::new(), String::new()));
}

#[tokio::test]
async fn an_unverified_address_is_left_out() {
    let setup = Setup::start().await;
    setup.app.ada().await;

    for verified in [json!(false), json!(null)] {
        let person = json!({"sub": verified.to_string(), "email": EMAIL, "email_verified": verified});
        setup.company.sign_in(person);
        let tokens = setup.log_in("company").await.unwrap();

        assert_eq!(setup.app.me(&tokens.access_token).await.unwrap().email, "");
    }
}

#[tokio::test]
async fn where_registration_is_not_open_a_provider_lets_nobody_new_in() {
    for registration in ["invite", "closed"] {
        let setup = Setup::start_with(&[("AUTH_REGISTRATION", registration)]).await;

        let refused = setup.log_in("company").await;

        let closed = (Code::PermissionDenied, "REGISTRATION_CLOSED".to_owned());
        assert_eq!(reason(refused), closed, "{registration}");
        let users: i64 = count(&setup.app, "SELECT count(*) FROM users").await;
        assert_eq!(users, 0, "{registration}");
    }
}

#[tokio::test]
async fn an_address_that_a_provider_has_verified_is_confirmed() {
    let setup = Setup::start_with(&[("AUTH_EMAIL_CONFIRMATION", "required")]).await;
    setup
        .company
        .sign_in(json!({"sub": "7", "email": "ada@example.com", "email_verified": true}));

    let tokens = setup.log_in("company").await.unwrap();

    assert!(setup.app.me(&tokens.access_token).await.unwrap().email_confirmed);
}

#[tokio::test]
async fn accounts_without_an_address_have_a_share_of_mails_each() {
    let setup = Setup::start_with(&[("AUTH_MAILS_PER_HOUR", "1")]).await;

    for number in 0..3 {
        setup.company.sign_in(json!({"sub": number.to_string()}));
        let tokens = setup.log_in("company").await.unwrap();
        let email = format!("ada{number}@example.com");
        change(&setup.app, &tokens.access_token, &email).await.unwrap();

        assert_eq!(setup.app.mails_to(&email).await.len(), 1);
    }

    let told = "SELECT count(*) FROM mails WHERE kind = 'email_change_notice'";
    assert_eq!(count(&setup.app, told).await, 0);
}

#[tokio::test]
async fn whoever_has_no_password_can_leave_with_a_fresh_log_in() {
    let setup = Setup::start().await;
    let tokens = setup.log_in("company").await.unwrap();

    delete(&setup.app, &tokens.access_token, "").await.unwrap();

    assert_eq!(count(&setup.app, "SELECT count(*) FROM identities").await, 0);
    assert_eq!(reason(setup.app.me(&tokens.access_token).await).1, "SESSION_ENDED");
}

async fn count(app: &TestApp, query: &'static str) -> i64 {
    let counted = sqlx::query(query).fetch_one(&mut app.admin().await).await;
    counted.unwrap().get(0)
}

#[tokio::test]
async fn a_taken_address_is_never_linked_by_itself() {
    let setup = Setup::start().await;
    let ada = setup.app.ada().await;
    setup
        .company
        .sign_in(json!({"sub": "1", "email": EMAIL.to_uppercase(), "email_verified": true}));

    let refused = setup.log_in("company").await;

    assert_eq!(reason(refused), (Code::FailedPrecondition, "LINK_REQUIRED".to_owned()));
    setup.app.me(&ada.access_token).await.unwrap();
    // Nothing was left behind.
    assert_eq!(reason(setup.log_in("company").await).1, "LINK_REQUIRED");
}

#[tokio::test]
async fn no_password_opens_an_account_that_has_none() {
    let setup = Setup::start().await;
    setup
        .company
        .sign_in(json!({"sub": "1", "email": EMAIL, "email_verified": true}));
    setup.log_in("company").await.unwrap();

    for password in [PASSWORD, " ", "\0"] {
        let (code, reason) = reason(setup.app.log_in(EMAIL, password).await);
        assert_eq!((code, reason.as_str()), (Code::Unauthenticated, "INVALID_CREDENTIALS"));
    }
}

#[tokio::test]
async fn a_second_factor_is_asked_for_here_too() {
    let setup = Setup::start().await;
    let first = setup.log_in("company").await.unwrap();
    let secret = enrol_and_confirm(&setup.app, &first.access_token).await;

    let asked = setup.log_in("company").await.unwrap_err();

    let info = asked.get_details_error_info().unwrap();
    assert_eq!(info.reason, "MFA_REQUIRED");
    let request = CompleteChallengeRequest {
        challenge: info.metadata["challenge"].clone(),
        totp_code: code_of(&secret),
        recovery_code: String::new(),
        ..CompleteChallengeRequest::default()
    };
    let tokens = challenges(&setup.app)
        .complete_challenge(request)
        .await
        .unwrap()
        .into_inner();
    let amr = claims(&setup.app, &tokens.access_token).await["amr"].clone();
    assert_eq!(amr, json!(["oidc", "otp", "mfa"]));
}

#[tokio::test]
async fn tokens_say_that_a_provider_vouched() {
    let setup = Setup::start().await;

    let tokens = setup.log_in("company").await.unwrap();

    assert_eq!(claims(&setup.app, &tokens.access_token).await["amr"], json!(["oidc"]));
}

#[tokio::test]
async fn an_account_that_is_shut_is_shut_here_too() {
    let setup = Setup::start().await;
    setup.log_in("company").await.unwrap();
    setup.app.run_as_admin("UPDATE users SET disabled_at = now()").await;

    let refused = setup.log_in("company").await;

    assert_eq!(reason(refused), (Code::PermissionDenied, "ACCOUNT_DISABLED".to_owned()));
}

#[tokio::test]
async fn a_state_is_good_once_even_for_fifty_at_once() {
    // One each, so that none is turned away before it is looked at.
    let setup = Setup::start_with(&[("AUTH_DATABASE_MAX_CONNECTIONS", "50")]).await;
    let attempt = setup.begin("company").await.unwrap();
    let back = visit(&attempt.authorization_url).await;

    let answers = join_all((0..50).map(|_| setup.complete(&attempt, &back))).await;

    let (opened, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(opened.len(), 1);
    for answer in refused {
        assert_eq!(reason(answer), unknown());
    }
    assert_eq!(reason(setup.complete(&attempt, &back).await), unknown());
}

#[tokio::test]
async fn one_person_who_comes_twice_at_once_gets_one_account() {
    let setup = Setup::start().await;
    setup
        .company
        .sign_in(json!({"sub": "1", "email": EMAIL, "email_verified": true}));

    let answers = join_all((0..8).map(|_| setup.log_in("company"))).await;

    let mut users = Vec::new();
    for tokens in answers {
        users.push(setup.app.me(&tokens.unwrap().access_token).await.unwrap().id);
    }
    users.dedup();
    assert_eq!(users.len(), 1);
}

#[tokio::test]
async fn another_state_another_binding_and_another_browsers_log_in_lead_nowhere() {
    let setup = Setup::start().await;
    let (mine, theirs) = (
        setup.begin("company").await.unwrap(),
        setup.begin("company").await.unwrap(),
    );
    let (back, their_back) = (
        visit(&mine.authorization_url).await,
        visit(&theirs.authorization_url).await,
    );
    let made_up = Back {
        state: "made up".to_owned(),
        ..back.clone()
    };

    assert_eq!(reason(setup.complete(&mine, &made_up).await), unknown());
    // Log-in CSRF: a browser is sent the end of somebody else's log-in.
    assert_eq!(reason(setup.complete(&mine, &their_back).await), unknown());

    // Whoever tried has not ended it for the one whose it is.
    setup.complete(&theirs, &their_back).await.unwrap();
    setup.complete(&mine, &back).await.unwrap();
}

#[tokio::test]
async fn a_code_of_another_log_in_is_refused_and_uses_the_state_up() {
    let setup = Setup::start().await;
    let (mine, theirs) = (
        setup.begin("company").await.unwrap(),
        setup.begin("company").await.unwrap(),
    );
    let back = visit(&mine.authorization_url).await;
    let injected = Back {
        code: visit(&theirs.authorization_url).await.code,
        ..back.clone()
    };

    // PKCE: the code was asked for with another verifier.
    assert_eq!(reason(setup.complete(&mine, &injected).await), failed());
    assert_eq!(reason(setup.complete(&mine, &back).await), unknown());
}

#[tokio::test]
async fn after_ten_minutes_a_log_in_is_over() {
    let setup = Setup::start().await;
    let attempt = setup.begin("company").await.unwrap();
    let back = visit(&attempt.authorization_url).await;
    let left = attempt.expire_time.unwrap().seconds - service::clock::now().unix_timestamp();
    assert!((590..=600).contains(&left), "{left} s");
    setup
        .app
        .run_as_admin("UPDATE oidc_attempts SET expires_at = expires_at - interval '10 minutes'")
        .await;

    assert_eq!(reason(setup.complete(&attempt, &back).await), unknown());
}

#[tokio::test]
async fn a_mix_up_of_issuers_is_seen() {
    let setup = Setup::start().await;
    let club_issuer = setup.club.issuer.clone();
    for iss in [club_issuer, String::new(), format!("{}/", setup.company.issuer)] {
        let attempt = setup.begin("company").await.unwrap();
        let back = visit(&attempt.authorization_url).await;

        let answer = setup
            .complete(
                &attempt,
                &Back {
                    iss: iss.clone(),
                    ..back
                },
            )
            .await;

        assert_eq!(reason(answer), failed(), "{iss}");
    }
}

#[tokio::test]
async fn a_provider_that_names_no_issuer_in_its_answers_is_taken_at_its_word() {
    let setup = Setup::start().await;
    setup.company.change_metadata(|metadata| {
        metadata["authorization_response_iss_parameter_supported"] = json!(null);
        metadata.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    });
    let attempt = setup.begin("company").await.unwrap();
    let back = visit(&attempt.authorization_url).await;
    let iss = String::new();

    setup.complete(&attempt, &Back { iss, ..back }).await.unwrap();
}

#[tokio::test]
async fn bad_input_names_its_fields() {
    let setup = Setup::start().await;
    let mut client = setup.client.clone();
    let request = |provider_id: &str, redirect_uri: &str| StartOidcLogInRequest {
        provider_id: provider_id.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
    };

    let unknown = client.start_oidc_log_in(request("nobody", REDIRECT_URI)).await;
    assert_eq!(reason(unknown), (Code::NotFound, "NOT_FOUND".to_owned()));
    for uri in [
        "",
        "https://evil.example",
        "http://localhost:8080/back/",
        "http://localhost:8080/back?a=b",
    ] {
        let refused = client.start_oidc_log_in(request("company", uri)).await.unwrap_err();
        let expected = ["redirect_uri must be one that is registered for the provider"];
        assert_eq!(violations(&refused), expected, "{uri}");
    }
    let refused = client
        .complete_oidc_log_in(CompleteOidcLogInRequest::default())
        .await
        .unwrap_err();
    let expected = [
        "binding must not be empty",
        "code must not be empty",
        "state must not be empty",
    ];
    assert_eq!(violations(&refused), expected);
    let long = CompleteOidcLogInRequest {
        code: "x".repeat(8_193),
        iss: "x".repeat(2_049),
        state: "\0".to_owned(),
        binding: "\0".to_owned(),
    };
    let refused = client.complete_oidc_log_in(long).await.unwrap_err();
    assert_eq!(violations(&refused).len(), 2);
}

#[tokio::test]
async fn a_dump_of_the_database_cannot_complete_a_log_in() {
    let setup = Setup::start().await;
    let attempt = setup.begin("company").await.unwrap();

    let dump = "SELECT string_agg(oidc_attempts::text, '') FROM oidc_attempts";
    let dump: String = sqlx::query_scalar(dump)
        .fetch_one(&mut setup.app.admin().await)
        .await
        .unwrap();

    assert!(dump.contains("company"));
    let url = url::Url::parse(&attempt.authorization_url).unwrap();
    let (_, nonce) = url.query_pairs().find(|(name, _)| name == "nonce").unwrap();
    for secret in [&attempt.state, &attempt.binding, nonce.as_ref()] {
        // Bytes are shown in hexadecimal.
        let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!dump.contains(secret) && !dump.contains(&hexadecimal));
    }
}

/// One of several replicas may complete what another one has started.
#[tokio::test]
async fn another_replica_completes_a_log_in() {
    let provider = TestProvider::start(Key::rs256()).await;
    let folder = TempDir::new().unwrap();
    let file = write_providers(folder.path(), &[("company", &provider)]);
    let database = devstack::fresh_database("auth").await;
    svc_auth::migrate(&database.owner_url).await.unwrap();
    let keys = Arc::new(crate::app::new_keys());
    let variables = [("AUTH_OIDC_PROVIDERS", file.as_str())];
    let urls = database.clone();
    let (one, other) = (
        TestApp::start_on(database, Arc::clone(&keys), &variables).await,
        TestApp::start_on(urls, keys, &variables).await,
    );
    let mut first = OidcServiceClient::new(channel(&one.address).unwrap());
    let mut second = OidcServiceClient::new(channel(&other.address).unwrap());

    let request = StartOidcLogInRequest {
        provider_id: "company".to_owned(),
        redirect_uri: REDIRECT_URI.to_owned(),
    };
    let attempt = first.start_oidc_log_in(request).await.unwrap().into_inner();
    let back = visit(&attempt.authorization_url).await;
    let request = CompleteOidcLogInRequest {
        state: back.state,
        code: back.code,
        binding: attempt.binding,
        iss: back.iss,
    };

    second.complete_oidc_log_in(request).await.unwrap();
}
