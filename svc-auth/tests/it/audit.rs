//! The audit log: what is noted, who sees it, and that nobody can change it unseen.

use std::{path::Path, process::Command};

use bookmesh_proto::auth::v1::{
    AuditEvent, ChangePasswordRequest, CreateApiTokenRequest, CreateSessionRequest, DeleteApiTokenRequest,
    DeleteSessionRequest, EndOtherSessionsRequest, ListAuditEventsRequest, ListAuditEventsResponse, SessionTokens,
    api_token_service_client::ApiTokenServiceClient,
    audit_event::{Action, Outcome},
    audit_service_client::AuditServiceClient,
    session_service_client::SessionServiceClient,
};
use devstack::keys;
use service::{client::channel, clock, time::to_proto};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tonic::{Code, Request, Status};

use crate::{
    api_tokens::make,
    app::{EMAIL, PASSWORD, TestApp, reason, violations, with_token},
};

const NEW_PASSWORD: &str = "parsnip gravel oboe lantern";
const ADDRESS: &str = "203.0.113.7";
const USER_AGENT: &str = "Firefox/140";

async fn page(app: &TestApp, token: &str, page_size: i32, page_token: &str) -> Result<ListAuditEventsResponse, Status> {
    let request = ListAuditEventsRequest {
        page_size,
        page_token: page_token.to_owned(),
    };
    let mut audit = AuditServiceClient::new(channel(&app.address).unwrap());
    let answer = audit.list_audit_events(with_token(request, token)).await?;
    Ok(answer.into_inner())
}

pub(crate) async fn list(app: &TestApp, token: &str) -> Vec<AuditEvent> {
    page(app, token, 0, "").await.unwrap().audit_events
}

/// As the edge would, from a place and with a program.
fn from_firefox<T>(mut request: Request<T>) -> Request<T> {
    let metadata = request.metadata_mut();
    metadata.insert("x-client-address", ADDRESS.parse().unwrap());
    metadata.insert("x-user-agent", USER_AGENT.parse().unwrap());
    request
}

fn session_id(tokens: &SessionTokens) -> String {
    tokens.session.clone().unwrap().id
}

async fn log_in(app: &TestApp, email: &str, password: &str) -> Result<SessionTokens, Status> {
    let request = CreateSessionRequest {
        email: email.to_owned(),
        password: password.to_owned(),
        ..CreateSessionRequest::default()
    };
    let request = from_firefox(Request::new(request));
    Ok(app.auth.clone().create_session(request).await?.into_inner())
}

/// Everything that is noted, once each; answers the tokens in use and the ids of the objects, and every secret that was seen.
struct Lived {
    tokens: SessionTokens,
    other: SessionTokens,
    api_token_id: String,
    secrets: Vec<String>,
}

async fn live(app: &TestApp) -> Lived {
    app.register(EMAIL, PASSWORD).await.unwrap();
    log_in(app, EMAIL, "canary wrong password").await.unwrap_err();
    log_in(app, "canary@example.com", PASSWORD).await.unwrap_err();
    let tokens = log_in(app, EMAIL, PASSWORD).await.unwrap();
    let other = log_in(app, EMAIL, PASSWORD).await.unwrap();
    let (mut secrets, api_token_id) = use_an_api_token(app, &tokens).await;
    end_sessions(app, &tokens, &other).await;
    for (current, new) in [("canary current password", NEW_PASSWORD), (PASSWORD, NEW_PASSWORD)] {
        let request = ChangePasswordRequest {
            current_password: current.to_owned(),
            new_password: new.to_owned(),
        };
        let request = from_firefox(with_token(request, &tokens.access_token));
        app.auth.clone().change_password(request).await.ok();
    }
    let left = log_in(app, EMAIL, NEW_PASSWORD).await.unwrap();
    app.log_out(&left.access_token).await.unwrap();
    for tokens in [&tokens, &other, &left] {
        secrets.extend([tokens.access_token.clone(), tokens.refresh_token.clone()]);
    }
    secrets.extend([PASSWORD, NEW_PASSWORD, "canary", EMAIL].map(str::to_owned));
    Lived {
        tokens,
        other,
        api_token_id,
        secrets,
    }
}

async fn use_an_api_token(app: &TestApp, tokens: &SessionTokens) -> (Vec<String>, String) {
    let mut api_tokens = ApiTokenServiceClient::new(channel(&app.address).unwrap());
    let request = CreateApiTokenRequest {
        name: "canary".to_owned(),
        scopes: vec!["tasks:read".to_owned()],
        expire_time: Some(to_proto(clock::now() + time::Duration::DAY)),
    };
    let request = from_firefox(with_token(request, &tokens.access_token));
    let made = api_tokens.create_api_token(request).await.unwrap().into_inner();
    for _ in 0..2 {
        let request = DeleteApiTokenRequest { id: made.id.clone() };
        let request = from_firefox(with_token(request, &tokens.access_token));
        api_tokens.delete_api_token(request).await.unwrap();
    }
    (vec![made.token], made.id)
}

/// The other one by its id, twice; then all others, of which there are one and then none.
async fn end_sessions(app: &TestApp, tokens: &SessionTokens, other: &SessionTokens) {
    let mut sessions = SessionServiceClient::new(channel(&app.address).unwrap());
    for _ in 0..2 {
        let request = DeleteSessionRequest { id: session_id(other) };
        let request = from_firefox(with_token(request, &tokens.access_token));
        sessions.delete_session(request).await.unwrap();
    }
    log_in(app, EMAIL, PASSWORD).await.unwrap();
    for _ in 0..2 {
        let request = from_firefox(with_token(EndOtherSessionsRequest {}, &tokens.access_token));
        sessions.end_other_sessions(request).await.unwrap();
    }
}

#[tokio::test]
async fn checklist_16_3_what_happens_to_an_account_is_noted_once_with_who_where_and_how_it_ended() {
    let app = TestApp::start().await;
    let lived = live(&app).await;

    let mut events = list(&app, &lived.tokens.access_token).await;

    events.reverse();
    let summary: Vec<_> = events.iter().map(|event| (event.action(), event.outcome())).collect();
    assert_eq!(
        summary,
        [
            (Action::UserRegistered, Outcome::Succeeded),
            (Action::LogIn, Outcome::Refused),
            (Action::LogIn, Outcome::Succeeded),
            (Action::LogIn, Outcome::Succeeded),
            (Action::ApiTokenCreated, Outcome::Succeeded),
            (Action::ApiTokenRevoked, Outcome::Succeeded),
            (Action::SessionEnded, Outcome::Succeeded),
            (Action::LogIn, Outcome::Succeeded),
            (Action::OtherSessionsEnded, Outcome::Succeeded),
            (Action::PasswordChanged, Outcome::Refused),
            (Action::PasswordChanged, Outcome::Succeeded),
            (Action::LogIn, Outcome::Succeeded),
            (Action::LogOut, Outcome::Succeeded),
        ]
    );
    let (first, other) = (session_id(&lived.tokens), session_id(&lived.other));
    let about = |place: usize| (events[place].session_id.as_str(), events[place].object_id.as_str());
    assert_eq!(about(1), ("", ""));
    assert_eq!(about(2), (first.as_str(), ""));
    assert_eq!(about(4), (first.as_str(), lived.api_token_id.as_str()));
    assert_eq!(about(6), (first.as_str(), other.as_str()));
    assert_eq!(about(9), (first.as_str(), ""));
    for event in &events[1..12] {
        assert_eq!(
            (event.address.as_str(), event.user_agent.as_str()),
            (ADDRESS, USER_AGENT)
        );
    }
}

#[tokio::test]
async fn a_reused_refresh_token_is_noted() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    let next = app.refresh(&ada.refresh_token).await.unwrap();
    app.refresh(&next.refresh_token).await.unwrap();
    app.refresh(&ada.refresh_token).await.unwrap_err();
    let again = app.log_in(EMAIL, PASSWORD).await.unwrap();

    let events = list(&app, &again.access_token).await;

    assert_eq!(events[1].action(), Action::RefreshTokenReused);
    assert_eq!(events[1].outcome(), Outcome::Refused);
    assert_eq!(events[1].session_id, session_id(&ada));
}

#[tokio::test]
async fn an_api_token_that_a_stale_log_in_was_refused_is_noted() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    app.run_as_admin("UPDATE sessions SET created_at = created_at - interval '301 seconds'")
        .await;
    let refused = make(&app, &ada.access_token, "Backup", &["tasks:read"]).await;

    let events = list(&app, &ada.access_token).await;

    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(
        (events[0].action(), events[0].outcome()),
        (Action::ApiTokenCreated, Outcome::Refused)
    );
    assert_eq!(events[0].session_id, session_id(&ada));
}

#[tokio::test]
async fn checklist_16_3_no_secret_and_no_address_of_mail_is_noted() {
    let app = TestApp::start().await;
    let lived = live(&app).await;

    let dump = "SELECT string_agg(audit_events::text, '') FROM audit_events";
    let dump: String = sqlx::query(dump)
        .fetch_one(&mut app.admin().await)
        .await
        .unwrap()
        .get(0);

    assert!(dump.contains(USER_AGENT));
    for secret in lived.secrets {
        assert!(!dump.contains(&secret), "{secret}");
    }
}

#[tokio::test]
async fn a_user_sees_their_own_events_page_by_page_and_nobody_elses() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = app.log_in("bob@example.com", PASSWORD).await.unwrap();
    log_in(&app, "nobody@example.com", PASSWORD).await.unwrap_err();

    let first = page(&app, &bob.access_token, 1, "").await.unwrap();
    let last = page(&app, &bob.access_token, 1, &first.next_page_token).await.unwrap();

    let only = |page: &ListAuditEventsResponse| page.audit_events.first().map(AuditEvent::action);
    assert_eq!(
        (only(&first), only(&last)),
        (Some(Action::LogIn), Some(Action::UserRegistered))
    );
    assert_eq!(last.next_page_token, "");
    let hers = page(&app, &ada.access_token, 1, "").await.unwrap().next_page_token;
    let foreign = page(&app, &bob.access_token, 1, &hers).await.unwrap_err();
    assert_eq!(
        violations(&foreign),
        ["page_token must be the token of the page before, of the same query"]
    );
    app.log_out(&bob.access_token).await.unwrap();
    let after = page(&app, &bob.access_token, 0, "").await;
    assert_eq!(reason(after), (Code::Unauthenticated, "SESSION_ENDED".to_owned()));
}

#[tokio::test]
async fn the_service_can_only_add_and_even_the_tables_owner_cannot_change() {
    let app = TestApp::start().await;
    app.ada().await;
    let mut service = PgConnection::connect(&app.database.app_url).await.unwrap();
    let mut owner = PgConnection::connect(&app.database.owner_url).await.unwrap();

    for statement in [
        "UPDATE audit_events SET outcome = 'SUCCEEDED'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
    ] {
        let refused = sqlx::query(statement).execute(&mut service).await.unwrap_err();
        assert!(
            refused.to_string().contains("permission denied"),
            "{statement}: {refused}"
        );
    }
    let refused = sqlx::query("TRUNCATE audit_events")
        .execute(&mut owner)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("never changed"), "{refused}");
    let forged = sqlx::query(
        "INSERT INTO audit_events SELECT 99, gen_random_uuid(), gen_random_uuid(), NULL, NULL, 'LOG_IN', 'SUCCEEDED', '', '',
                                         now(), sha256('')",
    );
    let refused = forged.execute(&mut service).await.unwrap_err();
    assert!(refused.to_string().contains("row-level security"), "{refused}");
}

#[tokio::test]
async fn events_of_many_at_once_make_one_chain() {
    let app = TestApp::start().await;
    app.register(EMAIL, PASSWORD).await.unwrap();

    let accounts = (0..12).map(|number| format!("nobody{number}@example.com"));
    let log_ins = accounts.map(|email| async { log_in(&app, { email }.as_str(), PASSWORD).await });
    let answers = futures::future::join_all(log_ins).await;

    // On a machine with much else to do, some may be told to come again; those are not noted.
    let refused = |answer: &Result<_, Status>| {
        answer
            .as_ref()
            .is_err_and(|status| status.code() == Code::Unauthenticated)
    };
    let noted = 1 + answers.iter().filter(|answer| refused(answer)).count();
    assert!(noted > 2, "{noted}");
    let (is_whole, told) = verify(&app, None);
    assert!(is_whole, "{told}");
    assert!(told.contains(&format!("\"events\":{noted},")), "{told}");
}

#[tokio::test]
async fn whatever_is_changed_in_the_past_is_found() {
    let changes = [
        (
            "UPDATE audit_events SET address = '192.0.2.1' WHERE sequence = 2",
            "audit event 2 was changed",
        ),
        (
            "UPDATE audit_events SET created_at = now() WHERE sequence = 3",
            "audit event 3 was changed",
        ),
        (
            "DELETE FROM audit_events WHERE sequence = 2",
            "audit event 2 is missing",
        ),
        (
            "DELETE FROM audit_events WHERE sequence = 3; UPDATE audit_events SET sequence = 3 WHERE sequence = 4",
            "audit event 3 was changed",
        ),
    ];
    let app = TestApp::start().await;
    app.ada().await;
    app.log_in(EMAIL, PASSWORD).await.unwrap();
    app.log_in(EMAIL, PASSWORD).await.unwrap();
    app.run_as_admin("CREATE TABLE kept AS SELECT * FROM audit_events")
        .await;

    for (change, found) in changes {
        tamper(&app, change).await;
        let (is_whole, told) = verify(&app, None);
        assert!(!is_whole && told.contains(found), "{change}: {told}");
        tamper(
            &app,
            "DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM kept",
        )
        .await;
    }
    let (is_whole, told) = verify(&app, None);
    assert!(is_whole, "{told}");
    cut_off_the_end(&app, &told).await;
}

/// Nothing inside shows that the newest events are gone; an earlier head does.
async fn cut_off_the_end(app: &TestApp, told: &str) {
    let head = told.split("\"head\":\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(verify(app, Some(head)).0);

    tamper(app, "DELETE FROM audit_events WHERE sequence = 4").await;

    assert!(verify(app, None).0);
    let (is_whole, told) = verify(app, Some(head));
    assert!(!is_whole && told.contains("its end was cut off"), "{told}");
}

/// As somebody who has the whole database, but not the master key.
async fn tamper(app: &TestApp, statements: &str) {
    let mut admin = app.admin().await;
    let statements = format!("SET session_replication_role = replica; {statements}");
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(&mut admin)
        .await
        .unwrap();
}

/// Runs the command; answers whether the log is whole, and what was told.
fn verify(app: &TestApp, head: Option<&str>) -> (bool, String) {
    let master_key: &Path = &keys::master_key(app.keys());
    let output = Command::new(env!("CARGO_BIN_EXE_svc-auth"))
        .arg("verify-audit")
        .env_clear()
        .env("AUTH_MIGRATION_DATABASE_URL", &app.database.owner_url)
        .env("AUTH_MASTER_KEY", master_key)
        .envs(head.map(|head| ("AUTH_AUDIT_HEAD", head)))
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}
