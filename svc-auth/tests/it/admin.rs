//! Admins: who is one, what they do to accounts, and that nobody else can.

use std::process::Command;

use bookmesh_proto::auth::v1::{
    AuditEvent, AuditLink, DisableUserRequest, EnableUserRequest, EndUserSessionsRequest, ExportAuditEventsRequest,
    ForcePasswordResetRequest, GetUserRequest, ListUserAuditEventsRequest, ListUserSessionsRequest, ListUsersRequest,
    ListUsersResponse, ManagedUser, SessionTokens, SetUserRoleRequest,
    admin_service_client::AdminServiceClient,
    audit_event::{Action, Outcome},
    managed_user::{Role, State},
    verify_api_token_response::State as TokenState,
};
use devstack::keys;
use futures::future::join_all;
use service::client::channel;
use sqlx::Row;
use tonic::{Code, Status, transport::Channel};

use crate::{
    api_tokens::{make, verify},
    app::{EMAIL, PASSWORD, TestApp, reason, violations, with_token},
};

const BOB: &str = "bob@example.com";

pub(crate) fn admin(app: &TestApp) -> AdminServiceClient<Channel> {
    AdminServiceClient::new(channel(&app.address).unwrap())
}

/// The first user, who is admin, and somebody else.
async fn ada_and_bob(app: &TestApp) -> (SessionTokens, SessionTokens) {
    let ada = app.ada().await;
    app.register(BOB, PASSWORD).await.unwrap();
    (ada, app.log_in(BOB, PASSWORD).await.unwrap())
}

fn user_id(tokens: &SessionTokens) -> String {
    tokens.session.clone().unwrap().user_id
}

async fn list(app: &TestApp, token: &str, request: ListUsersRequest) -> Result<ListUsersResponse, Status> {
    Ok(admin(app).list_users(with_token(request, token)).await?.into_inner())
}

async fn get(app: &TestApp, token: &str, id: &str) -> Result<ManagedUser, Status> {
    let request = with_token(GetUserRequest { id: id.to_owned() }, token);
    Ok(admin(app).get_user(request).await?.into_inner())
}

pub(crate) async fn disable(app: &TestApp, token: &str, id: &str) -> Result<ManagedUser, Status> {
    let request = with_token(DisableUserRequest { id: id.to_owned() }, token);
    Ok(admin(app).disable_user(request).await?.into_inner())
}

async fn enable(app: &TestApp, token: &str, id: &str) -> Result<ManagedUser, Status> {
    let request = with_token(EnableUserRequest { id: id.to_owned() }, token);
    Ok(admin(app).enable_user(request).await?.into_inner())
}

async fn set_role(app: &TestApp, token: &str, id: &str, role: Role) -> Result<ManagedUser, Status> {
    let request = SetUserRoleRequest {
        id: id.to_owned(),
        role: role.into(),
    };
    Ok(admin(app).set_user_role(with_token(request, token)).await?.into_inner())
}

pub(crate) async fn force_reset(app: &TestApp, token: &str, id: &str) -> Result<ManagedUser, Status> {
    let request = with_token(ForcePasswordResetRequest { id: id.to_owned() }, token);
    Ok(admin(app).force_password_reset(request).await?.into_inner())
}

pub(crate) async fn end_sessions(app: &TestApp, token: &str, id: &str) -> Result<i32, Status> {
    let request = with_token(EndUserSessionsRequest { id: id.to_owned() }, token);
    Ok(admin(app).end_user_sessions(request).await?.into_inner().ended_count)
}

async fn sessions_of(app: &TestApp, token: &str, id: &str) -> Result<usize, Status> {
    let request = ListUserSessionsRequest {
        id: id.to_owned(),
        ..ListUserSessionsRequest::default()
    };
    let answer = admin(app).list_user_sessions(with_token(request, token)).await?;
    Ok(answer.into_inner().sessions.len())
}

async fn events_about(app: &TestApp, token: &str, id: &str) -> Result<Vec<AuditEvent>, Status> {
    let request = ListUserAuditEventsRequest {
        id: id.to_owned(),
        ..ListUserAuditEventsRequest::default()
    };
    let answer = admin(app).list_user_audit_events(with_token(request, token)).await?;
    Ok(answer.into_inner().audit_events)
}

/// As far as it came, and how it ended.
async fn export(app: &TestApp, token: &str, after_sequence: i64) -> (Vec<AuditLink>, Option<Status>) {
    let request = with_token(ExportAuditEventsRequest { after_sequence }, token);
    let mut stream = match admin(app).export_audit_events(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return (Vec::new(), Some(status)),
    };
    let mut links = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(link)) => links.push(link),
            Ok(None) => return (links, None),
            Err(status) => return (links, Some(status)),
        }
    }
}

/// What every RPC of the service answers to a token.
async fn everything(app: &TestApp, token: &str, id: &str) -> Vec<(Code, String)> {
    vec![
        reason(list(app, token, ListUsersRequest::default()).await),
        reason(get(app, token, id).await),
        reason(disable(app, token, id).await),
        reason(enable(app, token, id).await),
        reason(force_reset(app, token, id).await),
        reason(set_role(app, token, id, Role::Admin).await),
        reason(sessions_of(app, token, id).await),
        reason(end_sessions(app, token, id).await),
        reason(events_about(app, token, id).await),
        reason(Err::<(), _>(export(app, token, 0).await.1.unwrap())),
    ]
}

async fn register_however_busy(app: &TestApp, email: &str) {
    loop {
        match app.register(email, PASSWORD).await {
            Ok(_) => return,
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
        }
    }
}

#[tokio::test]
async fn of_fifty_who_register_first_at_once_exactly_one_is_admin() {
    let app = TestApp::start().await;
    let emails: Vec<String> = (0..50).map(|number| format!("{number}@example.com")).collect();

    join_all(emails.iter().map(|email| register_however_busy(&app, email))).await;

    let count = "SELECT count(*) FILTER (WHERE role = 'ADMIN'), count(*) FROM users";
    let row = sqlx::query(count).fetch_one(&mut app.admin().await).await.unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (1, 50));
}

#[tokio::test]
async fn a_first_registration_that_fails_leaves_the_place_to_the_next() {
    let app = TestApp::start().await;
    app.register(EMAIL, "too short").await.unwrap_err();

    let ada = app.ada().await;

    let me = get(&app, &ada.access_token, &user_id(&ada)).await.unwrap();
    assert_eq!((me.role(), me.state()), (Role::Admin, State::Active));
}

#[tokio::test]
async fn accounts_are_listed_newest_first_by_address_and_state() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    app.register("Adele_1@example.com", PASSWORD).await.unwrap();
    app.register("adelex1@example.com", PASSWORD).await.unwrap();
    disable(&app, &ada.access_token, &user_id(&bob)).await.unwrap();
    let emails = async |email_prefix: &str, state: State| {
        let request = ListUsersRequest {
            email_prefix: email_prefix.to_owned(),
            state: state.into(),
            ..ListUsersRequest::default()
        };
        let users = list(&app, &ada.access_token, request).await.unwrap().users;
        users.into_iter().map(|user| user.email).collect::<Vec<_>>()
    };

    let everybody = ["adelex1@example.com", "Adele_1@example.com", BOB, EMAIL];
    assert_eq!(emails("", State::Unspecified).await, everybody);
    assert_eq!(emails("ADELE_", State::Unspecified).await, everybody[1..2]);
    assert_eq!(emails("", State::Disabled).await, [BOB]);
    assert_eq!(emails("ada", State::Active).await, [EMAIL]);
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended_and_only_for_the_same_question() {
    let app = TestApp::start().await;
    let (ada, _) = ada_and_bob(&app).await;
    let page = |page_token: &str, email_prefix: &str| {
        let request = ListUsersRequest {
            page_size: 1,
            page_token: page_token.to_owned(),
            email_prefix: email_prefix.to_owned(),
            ..ListUsersRequest::default()
        };
        list(&app, &ada.access_token, request)
    };

    let first = page("", "").await.unwrap();
    let second = page(&first.next_page_token, "").await.unwrap();

    assert_eq!(
        (first.users[0].email.as_str(), second.users[0].email.as_str()),
        (BOB, EMAIL)
    );
    assert_eq!(second.next_page_token, "");
    let refused = page(&first.next_page_token, "b").await.unwrap_err();
    assert_eq!(
        violations(&refused),
        ["page_token must be the token of the page before, of the same query"]
    );
    let refused = page("", &"x".repeat(255)).await.unwrap_err();
    assert_eq!(violations(&refused), ["email_prefix must be at most 254 bytes, is 255"]);
}

#[tokio::test]
async fn checklist_api5_whoever_is_no_admin_is_refused_everything() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;

    let refused = (Code::PermissionDenied, "SCOPE_MISSING".to_owned());
    for answer in everything(&app, &bob.access_token, &user_id(&ada)).await {
        assert_eq!(answer, refused);
    }
    let missing = (Code::Unauthenticated, "TOKEN_MISSING".to_owned());
    let answer = admin(&app).list_users(ListUsersRequest::default()).await;
    assert_eq!(reason(answer), missing);
}

#[tokio::test]
async fn checklist_api5_an_api_token_is_never_an_admins() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;

    let with_admin_scope = make(&app, &ada.access_token, "a", &["tasks:read", "admin:read"]).await;
    let token = make(&app, &ada.access_token, "b", &["tasks:read"]).await.unwrap().token;

    let refused = violations(&with_admin_scope.unwrap_err());
    assert!(refused[0].starts_with("scopes[1] must be one of"), "{refused:?}");
    for answer in everything(&app, &token, &user_id(&bob)).await {
        assert_eq!(answer, (Code::PermissionDenied, "API_TOKEN_NOT_ALLOWED".to_owned()));
    }
}

#[tokio::test]
async fn a_role_that_was_taken_counts_for_nothing_at_once_whatever_the_token_says() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    let promoted = set_role(&app, &ada.access_token, &user_id(&bob), Role::Admin)
        .await
        .unwrap();
    let bob = app.refresh(&bob.refresh_token).await.unwrap();
    assert_eq!(promoted.role(), Role::Admin);
    get(&app, &bob.access_token, &user_id(&ada)).await.unwrap();

    set_role(&app, &ada.access_token, &user_id(&bob), Role::User)
        .await
        .unwrap();

    for answer in everything(&app, &bob.access_token, &user_id(&ada)).await {
        assert_eq!(answer, (Code::PermissionDenied, "ADMIN_REQUIRED".to_owned()));
    }
    let events = events_about(&app, &ada.access_token, &user_id(&bob)).await.unwrap();
    let refused = events.iter().filter(|event| event.outcome() == Outcome::Refused);
    assert_eq!(refused.count(), 10, "each refusal is noted");
}

#[tokio::test]
async fn checklist_7_4_2_a_disabled_user_is_out_at_once_and_stays_out_until_enabled() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    let id = user_id(&bob);
    make(&app, &bob.access_token, "program", &["tasks:read"]).await.unwrap();
    app.me(&bob.access_token).await.unwrap();

    let disabled = disable(&app, &ada.access_token, &id).await.unwrap();

    assert_eq!(disabled.state(), State::Disabled);
    let ended = (Code::Unauthenticated, "SESSION_ENDED".to_owned());
    assert_eq!(reason(app.me(&bob.access_token).await), ended);
    assert_eq!(reason(app.refresh(&bob.refresh_token).await), ended);
    let tokens = "SELECT count(*) FROM api_tokens WHERE revoked_at IS NULL";
    let live: i64 = sqlx::query(tokens)
        .fetch_one(&mut app.admin().await)
        .await
        .unwrap()
        .get(0);
    assert_eq!(live, 0);
    assert_eq!(
        reason(app.log_in(BOB, "not the password at all").await),
        (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned())
    );
    let refused = (Code::PermissionDenied, "ACCOUNT_DISABLED".to_owned());
    assert_eq!(reason(app.log_in(BOB, PASSWORD).await), refused);

    let again = disable(&app, &ada.access_token, &id).await.unwrap();
    assert_eq!(
        again.disable_time, disabled.disable_time,
        "disabled since the first time"
    );
    enable(&app, &ada.access_token, &id).await.unwrap();

    app.log_in(BOB, PASSWORD).await.unwrap();
    assert_eq!(
        reason(app.refresh(&bob.refresh_token).await),
        ended,
        "what was ended stays ended"
    );
}

#[tokio::test]
async fn a_log_in_that_races_with_being_disabled_leaves_no_session_behind() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    let id = user_id(&bob);

    for _ in 0..5 {
        enable(&app, &ada.access_token, &id).await.unwrap();
        let log_ins = join_all((0..6).map(|_| app.log_in(BOB, PASSWORD)));
        let (log_ins, disabled) = tokio::join!(log_ins, disable(&app, &ada.access_token, &id));
        disabled.unwrap();

        for tokens in log_ins.into_iter().flatten() {
            app.refresh(&tokens.refresh_token).await.unwrap_err();
        }
    }
}

#[tokio::test]
async fn a_forced_reset_ends_sessions_and_keeps_the_old_password_from_logging_in() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;

    let user = force_reset(&app, &ada.access_token, &user_id(&bob)).await.unwrap();

    assert!(user.password_reset_required);
    app.refresh(&bob.refresh_token).await.unwrap_err();
    assert_eq!(
        reason(app.log_in(BOB, "not the password at all").await),
        (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned())
    );
    assert_eq!(
        reason(app.log_in(BOB, PASSWORD).await),
        (Code::PermissionDenied, "PASSWORD_RESET_REQUIRED".to_owned())
    );
}

#[tokio::test]
async fn api_tokens_end_with_a_disabled_account_and_a_forced_reset_and_each_is_noted() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    let (token, id) = (ada.access_token.as_str(), user_id(&bob));
    let before = make(&app, &bob.access_token, "one", &["tasks:read"]).await.unwrap();
    let second = make(&app, &bob.access_token, "two", &["tasks:read"]).await.unwrap();

    force_reset(&app, token, &id).await.unwrap();
    app.run_as_admin("UPDATE users SET password_reset_required = false")
        .await;
    let bob = app.log_in(BOB, PASSWORD).await.unwrap();
    let third = make(&app, &bob.access_token, "three", &["tasks:read"]).await.unwrap();
    disable(&app, token, &id).await.unwrap();
    enable(&app, token, &id).await.unwrap();

    let made = [before, second, third];
    for api_token in &made {
        assert_eq!(verify(&app, &api_token.token).await.state(), TokenState::Ended);
    }
    let noted = events_about(&app, token, &user_id(&ada)).await.unwrap();
    let mut revoked: Vec<_> = noted
        .into_iter()
        .filter(|event| event.action() == Action::ApiTokenRevoked)
        .map(|event| event.object_id)
        .collect();
    revoked.sort();
    assert_eq!(
        revoked,
        made.map(|api_token| api_token.id),
        "ids are in the order of time"
    );
}

#[tokio::test]
async fn a_forced_reset_locks_nobody_out_for_good() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    app.run_as_admin("UPDATE users SET email = '', email_key = NULL WHERE email = 'bob@example.com'")
        .await;

    let without_address = force_reset(&app, &ada.access_token, &user_id(&bob)).await;
    let last_admin = force_reset(&app, &ada.access_token, &user_id(&ada)).await;

    let refused = |reason: &str| (Code::FailedPrecondition, reason.to_owned());
    assert_eq!(reason(without_address), refused("NO_EMAIL_ADDRESS"));
    assert_eq!(reason(last_admin), refused("LAST_ADMIN"));
    for tokens in [&ada, &bob] {
        app.me(&tokens.access_token).await.unwrap();
    }
}

#[tokio::test]
async fn checklist_7_4_5_an_admin_sees_and_ends_the_sessions_of_a_user() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    app.log_in(BOB, PASSWORD).await.unwrap();
    let id = user_id(&bob);
    assert_eq!(sessions_of(&app, &ada.access_token, &id).await.unwrap(), 2);

    assert_eq!(end_sessions(&app, &ada.access_token, &id).await.unwrap(), 2);
    assert_eq!(end_sessions(&app, &ada.access_token, &id).await.unwrap(), 0);

    assert_eq!(sessions_of(&app, &ada.access_token, &id).await.unwrap(), 0);
    app.refresh(&bob.refresh_token).await.unwrap_err();
    app.me(&ada.access_token).await.unwrap();
}

#[tokio::test]
async fn the_last_admin_stays_admin_even_when_two_take_it_from_each_other_at_once() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    let (ada_id, bob_id) = (user_id(&ada), user_id(&bob));
    let last = (Code::FailedPrecondition, "LAST_ADMIN".to_owned());
    assert_eq!(
        reason(set_role(&app, &ada.access_token, &ada_id, Role::User).await),
        last
    );
    assert_eq!(reason(disable(&app, &ada.access_token, &ada_id).await), last);
    set_role(&app, &ada.access_token, &bob_id, Role::Admin).await.unwrap();
    let bob = app.refresh(&bob.refresh_token).await.unwrap();

    let (by_ada, by_bob) = tokio::join!(
        set_role(&app, &ada.access_token, &bob_id, Role::User),
        disable(&app, &bob.access_token, &ada_id),
    );

    assert_eq!(u8::from(by_ada.is_ok()) + u8::from(by_bob.is_ok()), 1);
    let count = "SELECT count(*) FROM users WHERE role = 'ADMIN' AND disabled_at IS NULL";
    let admins: i64 = sqlx::query(count)
        .fetch_one(&mut app.admin().await)
        .await
        .unwrap()
        .get(0);
    assert_eq!(admins, 1);
}

#[tokio::test]
async fn making_an_admin_takes_a_fresh_log_in() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    app.run_as_admin("UPDATE sessions SET created_at = created_at - interval '6 minutes'")
        .await;

    let refused = set_role(&app, &ada.access_token, &user_id(&bob), Role::Admin).await;

    assert_eq!(reason(refused), (Code::PermissionDenied, "STEP_UP_REQUIRED".to_owned()));
    let unsaid = set_role(&app, &ada.access_token, &user_id(&bob), Role::Unspecified).await;
    assert_eq!(violations(&unsaid.unwrap_err()), ["role must be USER or ADMIN"]);
}

#[tokio::test]
async fn every_call_of_an_admin_is_noted_with_whom_it_was_about() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    let (token, id) = (ada.access_token.as_str(), user_id(&bob));

    list(&app, token, ListUsersRequest::default()).await.unwrap();
    get(&app, token, &id).await.unwrap();
    set_role(&app, token, &id, Role::User).await.unwrap();
    sessions_of(&app, token, &id).await.unwrap();
    end_sessions(&app, token, &id).await.unwrap();
    force_reset(&app, token, &id).await.unwrap();
    disable(&app, token, &id).await.unwrap();
    enable(&app, token, &id).await.unwrap();
    events_about(&app, token, &id).await.unwrap();

    let noted: Vec<_> = events_about(&app, token, &id)
        .await
        .unwrap()
        .into_iter()
        .filter(|event| event.user_id == user_id(&ada))
        .map(|event| {
            assert_eq!(
                (event.object_id.as_str(), event.outcome()),
                (id.as_str(), Outcome::Succeeded)
            );
            event.action()
        })
        .collect();
    assert_eq!(
        noted,
        [
            Action::UserAuditEventsListed,
            Action::UserEnabled,
            Action::UserDisabled,
            Action::PasswordResetForced,
            Action::UserSessionsEnded,
            Action::UserSessionsListed,
            Action::UserRoleChanged,
            Action::UserViewed,
        ]
    );
    let own = events_about(&app, token, &user_id(&ada)).await.unwrap();
    assert!(own.iter().any(|event| event.action() == Action::UsersListed));
}

#[tokio::test]
async fn a_user_who_is_not_there_is_not_found() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    let not_found = (Code::NotFound, "NOT_FOUND".to_owned());

    for id in ["01890a5d-ac96-774b-bcce-b302099a8057", "nonsense", ""] {
        let token = ada.access_token.as_str();
        assert_eq!(reason(get(&app, token, id).await), not_found);
        assert_eq!(reason(disable(&app, token, id).await), not_found);
        assert_eq!(reason(enable(&app, token, id).await), not_found);
        assert_eq!(reason(force_reset(&app, token, id).await), not_found);
        assert_eq!(reason(set_role(&app, token, id, Role::User).await), not_found);
        assert_eq!(reason(sessions_of(&app, token, id).await), not_found);
        assert_eq!(reason(end_sessions(&app, token, id).await), not_found);
    }
}

#[tokio::test]
async fn what_sees_everybodys_rows_shows_nothing_to_a_transaction_of_no_admin() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&app.database.app_url)
        .await
        .unwrap();
    let counts = [
        "SELECT count(*) FROM users_for_admin(NULL, '%', NULL, 100)",
        "SELECT count(*) FROM audit_events_for_admin((SELECT id FROM users LIMIT 1), NULL, 100)",
    ];

    for (owner, sees) in [
        ("", false),
        (user_id(&bob).as_str(), false),
        (user_id(&ada).as_str(), true),
    ] {
        let set = sqlx::query("SELECT set_config('bookmesh.owner', $1, false)").bind(owner.to_owned());
        set.execute(&mut connection).await.unwrap();
        for count in counts {
            let found: i64 = sqlx::query(count).fetch_one(&mut connection).await.unwrap().get(0);
            assert_eq!(found > 0, sees, "{count} for {owner:?}");
        }
    }
}

#[tokio::test]
async fn an_operator_makes_an_admin_by_address_and_that_is_noted() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    let make_admin = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_svc-auth"));
        command
            .args(arguments)
            .env_clear()
            .env("AUTH_MIGRATION_DATABASE_URL", &app.database.owner_url)
            .env("AUTH_MASTER_KEY", keys::master_key(app.keys()));
        command.output().unwrap()
    };

    assert_eq!(make_admin(&["make-admin"]).status.code(), Some(64));
    assert_eq!(make_admin(&["make-admin", "nobody@example.com"]).status.code(), Some(1));
    let made = make_admin(&["make-admin", "BOB@example.com"]);

    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bob = app.refresh(&bob.refresh_token).await.unwrap();
    let events = events_about(&app, &bob.access_token, &user_id(&bob)).await.unwrap();
    let noted = events
        .iter()
        .find(|event| event.action() == Action::UserRoleChanged)
        .unwrap();
    assert_eq!(
        (noted.user_id.as_str(), noted.user_agent.as_str()),
        ("", "svc-auth make-admin")
    );
    drop(ada);
}

#[tokio::test]
async fn an_export_is_the_chain_as_it_is_stored_from_wherever_a_copy_ends() {
    let app = TestApp::start().await;
    let (ada, _) = ada_and_bob(&app).await;
    // More than a batch, and than what is sent ahead.
    app.run_as_admin(
        "INSERT INTO audit_events (sequence, id, action, outcome, address, user_agent, created_at, hash)
         SELECT (SELECT max(sequence) FROM audit_events) + number, gen_random_uuid(), 'LOG_IN', 'REFUSED', '', '', now(),
                sha256(number::text::bytea)
         FROM generate_series(1, 1200) AS number",
    )
    .await;

    let (all, end) = export(&app, &ada.access_token, 0).await;
    let (rest, _) = export(&app, &ada.access_token, 1_000).await;

    assert!(end.is_none(), "{end:?}");
    let stored = sqlx::query("SELECT sequence, id::text, hash FROM audit_events ORDER BY sequence");
    let stored = stored.fetch_all(&mut app.admin().await).await.unwrap();
    assert!(all.len() > 1_200);
    for (link, row) in all.iter().zip(&stored) {
        assert_eq!(link.sequence, row.get::<i64, _>(0));
        assert_eq!(link.audit_event.as_ref().unwrap().id, row.get::<String, _>(1));
        assert_eq!(link.hash, row.get::<Vec<u8>, _>(2));
    }
    let last = all.last().unwrap().audit_event.clone().unwrap();
    assert_eq!(
        last.action(),
        Action::AuditEventsExported,
        "it notes itself, and ends there"
    );
    assert_eq!(rest.first().unwrap().sequence, 1_001);
    let negative = export(&app, &ada.access_token, -1).await.1.unwrap();
    assert_eq!(violations(&negative), ["after_sequence must not be negative"]);
}

#[tokio::test]
async fn an_export_ends_when_its_reader_is_no_admin_any_more() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    app.run_as_admin(
        "INSERT INTO audit_events (sequence, id, action, outcome, address, user_agent, created_at, hash)
         SELECT (SELECT max(sequence) FROM audit_events) + number, gen_random_uuid(), 'LOG_IN', 'REFUSED', '',
                repeat('x', 500), now(), sha256(number::text::bytea)
         FROM generate_series(1, 20000) AS number",
    )
    .await;
    set_role(&app, &ada.access_token, &user_id(&bob), Role::Admin)
        .await
        .unwrap();
    let bob = app.refresh(&bob.refresh_token).await.unwrap();
    let request = with_token(ExportAuditEventsRequest::default(), &bob.access_token);
    let mut stream = admin(&app).export_audit_events(request).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();

    set_role(&app, &ada.access_token, &user_id(&bob), Role::User)
        .await
        .unwrap();

    let mut seen = 1;
    let end = loop {
        match stream.message().await {
            Ok(Some(_)) => seen += 1,
            Ok(None) => panic!("the export goes on"),
            Err(status) => break status,
        }
    };
    assert_eq!(
        reason(Err::<(), _>(end)),
        (Code::PermissionDenied, "ADMIN_REQUIRED".to_owned())
    );
    assert!(seen < 20_000, "what was sent ahead is bounded: {seen}");
}
