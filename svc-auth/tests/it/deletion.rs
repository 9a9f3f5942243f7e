//! A user leaves: access ends at once, the services are asked until each has answered, and the answers are kept.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_nats::{HeaderMap, jetstream};
use bookmesh_proto::auth::v1::{
    DeleteCurrentUserRequest, Deletion, ListDeletionsRequest, ListEndedSessionsRequest, SessionTokens, UserDataDeleted,
    deletion_service_client::DeletionServiceClient,
};
use devstack::{Devstack, Ports, fresh_database};
use futures::future::join_all;
use prost::Message;
use service::client::channel;
use sqlx::{AssertSqlSafe, Row};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    admin::admin,
    api_tokens::make,
    app::{PASSWORD, TestApp, new_keys, reason, violations, with_token},
    invitations::{accept, invite},
    resets::forget,
};

const BOB: &str = "bob@example.com";
const SERVICES: [&str; 4] = ["svc-bookmarks", "svc-enrich", "svc-import", "svc-task"];
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn delete(app: &TestApp, token: &str, password: &str) -> Result<(), Status> {
    let request = DeleteCurrentUserRequest {
        current_password: password.to_owned(),
    };
    let mut client = DeletionServiceClient::new(channel(&app.address).unwrap());
    client.delete_current_user(with_token(request, token)).await.map(drop)
}

async fn ada_and_bob(app: &TestApp) -> (SessionTokens, SessionTokens) {
    let ada = app.ada().await;
    app.register(BOB, PASSWORD).await.unwrap();
    (ada, app.log_in(BOB, PASSWORD).await.unwrap())
}

fn user_id(tokens: &SessionTokens) -> String {
    tokens.session.clone().unwrap().user_id
}

fn session_id(tokens: &SessionTokens) -> String {
    tokens.session.clone().unwrap().id
}

async fn deletions(app: &TestApp, token: &str) -> Vec<Deletion> {
    let request = with_token(ListDeletionsRequest::default(), token);
    admin(app).list_deletions(request).await.unwrap().into_inner().deletions
}

async fn count(app: &TestApp, query: &'static str, user_id: &str) -> i64 {
    let query = sqlx::query(query).bind(user_id.to_owned());
    query.fetch_one(&mut app.admin().await).await.unwrap().get(0)
}

/// A svc-auth with a NATS of its own: who answers deletions is one durable consumer for all who share a server.
async fn with_nats() -> (TestApp, Devstack, jetstream::Context) {
    let stack = Devstack::start_temporary(Ports::default()).await.unwrap();
    let database = fresh_database("auth").await;
    svc_auth::migrate(&database.owner_url).await.unwrap();
    let nats_url = stack.nats_url();
    let app = TestApp::start_on(database, Arc::new(new_keys()), &[("BOOKMESH_NATS_URL", &nats_url)]).await;
    let events = jetstream::new(async_nats::connect(&nats_url).await.unwrap());
    let started = Instant::now();
    while events.get_stream("EVENTS").await.is_err() {
        assert!(started.elapsed() < PATIENCE, "nobody makes the stream");
        sleep(Duration::from_millis(20)).await;
    }
    (app, stack, events)
}

async fn answer(events: &jetstream::Context, user_id: &str, service: &str, bookmarks: i64) {
    let message = UserDataDeleted {
        user_id: user_id.to_owned(),
        service: service.to_owned(),
        counts: HashMap::from([("things".to_owned(), bookmarks)]),
        delete_time: None,
    };
    let mut headers = HeaderMap::new();
    headers.insert("ce-id", Uuid::now_v7().to_string());
    headers.insert("ce-type", "bookmesh.auth.v1.UserDataDeleted");
    headers.insert("ce-time", "2026-11-26T12:00:00Z");
    headers.insert("ce-subject", user_id);
    headers.insert("ce-ownerid", user_id);
    headers.insert("ce-version", "1");
    let subject = format!("evt.{service}.user_data_deleted.{user_id}");
    let published = events.publish_with_headers(subject, headers, message.encode_to_vec().into());
    published.await.unwrap().await.unwrap();
}

#[tokio::test]
async fn a_deleted_user_is_out_at_once_and_all_rows_are_gone_but_the_audit_log() {
    let app = TestApp::start().await;
    let (ada, bob) = ada_and_bob(&app).await;
    let other = app.log_in(BOB, PASSWORD).await.unwrap();
    let api_token = make(&app, &bob.access_token, "program", &["tasks:read"]).await.unwrap();
    app.me(&other.access_token).await.unwrap();
    let id = user_id(&bob);

    delete(&app, &bob.access_token, PASSWORD).await.unwrap();

    for tokens in [&bob, &other] {
        let ended = (Code::Unauthenticated, "SESSION_ENDED".to_owned());
        assert_eq!(reason(app.me(&tokens.access_token).await), ended);
        let unknown = (Code::Unauthenticated, "INVALID_REFRESH_TOKEN".to_owned());
        assert_eq!(reason(app.refresh(&tokens.refresh_token).await), unknown);
    }
    let refused = (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned());
    assert_eq!(reason(app.log_in(BOB, PASSWORD).await), refused);
    let (mut client, internal) = app.internal("svc-bookmarks");
    let request = internal.request(
        Uuid::nil(),
        ListEndedSessionsRequest { since: None },
        Duration::from_secs(2),
    );
    let told = client
        .list_ended_sessions(request)
        .await
        .unwrap()
        .into_inner()
        .session_ids;
    for ended in [session_id(&bob), session_id(&other), api_token.id] {
        assert!(told.contains(&ended), "{ended} is told of though its row is gone");
    }
    for rows in [
        "SELECT count(*) FROM users WHERE id = $1::uuid",
        "SELECT count(*) FROM sessions WHERE user_id = $1::uuid",
        "SELECT count(*) FROM api_tokens WHERE user_id = $1::uuid",
    ] {
        assert_eq!(count(&app, rows, &id).await, 0, "{rows}");
    }
    let noted = "SELECT count(*) FROM audit_events WHERE user_id = $1::uuid AND action IN ('LOG_IN', 'USER_DELETED')";
    assert_eq!(count(&app, noted, &id).await, 3);
    let open = deletions(&app, &ada.access_token).await;
    assert_eq!(
        (open[0].user_id.as_str(), open[0].complete_time, open[0].proofs.len()),
        (id.as_str(), None, 0)
    );
    app.register(BOB, PASSWORD).await.unwrap();
}

/// The tables that have a text somewhere in a row, whatever the column.
async fn tables_with(app: &TestApp, text: &str) -> Vec<String> {
    let mut connection = app.admin().await;
    let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'auth' ORDER BY 1";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    assert!(tables.len() > 15, "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        let rows = format!("SELECT count(*) FROM auth.{table} AS whole WHERE whole::text ILIKE '%' || $1 || '%'");
        let query = sqlx::query_scalar(AssertSqlSafe(rows)).bind(text.to_owned());
        let count: i64 = query.fetch_one(&mut connection).await.unwrap();
        if count > 0 {
            found.push(table);
        }
    }
    found
}

#[tokio::test]
async fn a_deleted_users_address_is_in_no_table() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    invite(&app, &ada.access_token, BOB).await.unwrap();
    accept(&app, BOB, &app.last_token_to(BOB).await).await.unwrap();
    forget(&app, BOB).await.unwrap();
    let bob = app.log_in(BOB, PASSWORD).await.unwrap();
    assert_eq!(tables_with(&app, BOB).await, ["users"]);

    delete(&app, &bob.access_token, PASSWORD).await.unwrap();

    assert_eq!(tables_with(&app, BOB).await, [""; 0]);
}

#[tokio::test]
async fn it_takes_the_password_and_a_fresh_log_in_and_refusals_are_noted() {
    let app = TestApp::start().await;
    let (_, bob) = ada_and_bob(&app).await;

    let wrong = delete(&app, &bob.access_token, "not the password at all").await;
    assert_eq!(reason(wrong), (Code::InvalidArgument, "WRONG_PASSWORD".to_owned()));
    let empty = delete(&app, &bob.access_token, "").await.unwrap_err();
    assert_eq!(violations(&empty), ["current_password must not be empty"]);
    app.run_as_admin("UPDATE sessions SET created_at = created_at - interval '6 minutes'")
        .await;
    let stale = delete(&app, &bob.access_token, PASSWORD).await;
    assert_eq!(reason(stale), (Code::PermissionDenied, "STEP_UP_REQUIRED".to_owned()));

    app.me(&bob.access_token).await.unwrap();
    let noted = "SELECT count(*) FROM audit_events
                 WHERE user_id = $1::uuid AND action = 'USER_DELETED' AND outcome = 'REFUSED'";
    assert_eq!(count(&app, noted, &user_id(&bob)).await, 2);
}

#[tokio::test]
async fn log_ins_and_new_tokens_that_race_with_a_deletion_leave_nothing_behind() {
    let app = TestApp::start().await;
    let (_, bob) = ada_and_bob(&app).await;

    let log_ins = join_all((0..6).map(|_| app.log_in(BOB, PASSWORD)));
    let tokens = join_all((0..6).map(|_| make(&app, &bob.access_token, "t", &["tasks:read"])));
    let (log_ins, _, deleted) = tokio::join!(log_ins, tokens, delete(&app, &bob.access_token, PASSWORD));
    deleted.unwrap();

    for tokens in log_ins.into_iter().flatten() {
        app.refresh(&tokens.refresh_token).await.unwrap_err();
    }
    let left = "SELECT (SELECT count(*) FROM sessions WHERE user_id = $1::uuid)
                     + (SELECT count(*) FROM api_tokens WHERE user_id = $1::uuid)";
    assert_eq!(count(&app, left, &user_id(&bob)).await, 0);
}

#[tokio::test]
async fn a_deletion_is_complete_when_every_service_has_answered_however_often() {
    let (app, _stack, events) = with_nats().await;
    let (ada, bob) = ada_and_bob(&app).await;
    let id = user_id(&bob);
    delete(&app, &bob.access_token, PASSWORD).await.unwrap();

    for service in SERVICES.into_iter().chain(["svc-bookmarks"]) {
        answer(&events, &id, service, 7).await;
    }

    let started = Instant::now();
    let complete = loop {
        let found = deletions(&app, &ada.access_token).await.remove(0);
        if found.complete_time.is_some() {
            break found;
        }
        assert!(started.elapsed() < PATIENCE, "not complete: {found:?}");
        sleep(Duration::from_millis(50)).await;
    };
    let proofs: Vec<_> = complete
        .proofs
        .iter()
        .map(|proof| (proof.service.as_str(), proof.counts["things"]))
        .collect();
    assert_eq!(proofs, SERVICES.map(|service| (service, 7)));
    let noted = "SELECT count(*) FROM audit_events WHERE user_id = $1::uuid AND action = 'USER_DATA_DELETED'";
    assert_eq!(count(&app, noted, &id).await, 1);
    assert_eq!(
        count(&app, "SELECT count(*) FROM outbox WHERE owner_id = $1::uuid", &id).await,
        0
    );
}

#[tokio::test]
async fn who_has_not_answered_is_asked_again() {
    let (app, _stack, events) = with_nats().await;
    let (_, bob) = ada_and_bob(&app).await;
    let id = user_id(&bob);
    delete(&app, &bob.access_token, PASSWORD).await.unwrap();
    for service in &SERVICES[1..] {
        answer(&events, &id, service, 0).await;
    }
    app.run_as_admin("UPDATE deletions SET asked_at = asked_at - interval '1 minute'")
        .await;

    let asked = "SELECT count(*) FROM outbox WHERE owner_id = $1::uuid AND published_at IS NOT NULL";
    let started = Instant::now();
    while count(&app, asked, &id).await < 2 {
        assert!(started.elapsed() < PATIENCE, "nobody is asked again");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        count(
            &app,
            "SELECT count(*) FROM deletions WHERE user_id = $1::uuid AND asks = 2",
            &id
        )
        .await,
        1
    );
}
