//! A user's API tokens: made, shown once, looked up by the other processes, revoked.

use std::time::Duration;

use bookmesh_proto::auth::v1::{
    ApiToken, ChangePasswordRequest, CreateApiTokenRequest, DeleteApiTokenRequest, DeleteCurrentSessionRequest,
    ListApiTokensRequest, ListApiTokensResponse, ListEndedSessionsRequest, ListSessionsRequest, VerifyApiTokenRequest,
    VerifyApiTokenResponse, api_token_service_client::ApiTokenServiceClient,
    session_service_client::SessionServiceClient, verify_api_token_response::State,
};
use prost_types::Timestamp;
use service::{client::channel, clock, time::to_proto};
use sqlx::Row;
use tonic::{Code, Status, transport::Channel};
use uuid::Uuid;

use crate::app::{EMAIL, PASSWORD, TestApp, reason, violations, with_token};

const DAY: time::Duration = time::Duration::DAY;

fn tokens(app: &TestApp) -> ApiTokenServiceClient<Channel> {
    ApiTokenServiceClient::new(channel(&app.address).unwrap())
}

fn in_a_day() -> Option<Timestamp> {
    Some(to_proto(clock::now() + DAY))
}

pub(crate) async fn make(app: &TestApp, access_token: &str, name: &str, scopes: &[&str]) -> Result<ApiToken, Status> {
    let request = CreateApiTokenRequest {
        name: name.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        expire_time: in_a_day(),
    };
    let answer = tokens(app).create_api_token(with_token(request, access_token)).await?;
    Ok(answer.into_inner())
}

async fn page(app: &TestApp, token: &str, page_size: i32, page_token: &str) -> Result<ListApiTokensResponse, Status> {
    let request = ListApiTokensRequest {
        page_size,
        page_token: page_token.to_owned(),
    };
    let answer = tokens(app).list_api_tokens(with_token(request, token)).await?;
    Ok(answer.into_inner())
}

async fn list(app: &TestApp, token: &str) -> Vec<ApiToken> {
    page(app, token, 0, "").await.unwrap().api_tokens
}

async fn revoke(app: &TestApp, access_token: &str, id: &str) -> Result<(), Status> {
    let request = with_token(DeleteApiTokenRequest { id: id.to_owned() }, access_token);
    tokens(app).delete_api_token(request).await.map(drop)
}

pub(crate) async fn verify(app: &TestApp, token: &str) -> VerifyApiTokenResponse {
    let (mut client, internal) = app.internal("svc-bookmarks");
    let message = VerifyApiTokenRequest {
        token: token.to_owned(),
    };
    let request = internal.request(Uuid::nil(), message, Duration::from_secs(2));
    client.verify_api_token(request).await.unwrap().into_inner()
}

fn not_found() -> (Code, String) {
    (Code::NotFound, "NOT_FOUND".to_owned())
}

#[tokio::test]
async fn a_token_is_shown_once_and_says_afterwards_which_one_it_is() {
    let app = TestApp::start().await;
    let ada = app.ada().await;

    let made = make(&app, &ada.access_token, "Backup", &["tasks:read", "bookmarks:read"])
        .await
        .unwrap();
    let listed = list(&app, &ada.access_token).await;

    assert!(
        made.token.starts_with(&made.prefix) && made.prefix.starts_with("bmk_live_"),
        "{}",
        made.prefix
    );
    assert_eq!(made.scopes, ["bookmarks:read", "tasks:read"]);
    let without_secret = ApiToken {
        token: String::new(),
        ..made
    };
    assert_eq!(listed, [without_secret]);
}

#[tokio::test]
async fn a_service_learns_whose_a_token_is_and_what_it_allows_for_the_right_secret_alone() {
    let app = TestApp::start_with(&[("AUTH_API_TOKEN_ENVIRONMENT", "test")]).await;
    let ada = app.ada().await;
    let made = make(&app, &ada.access_token, "Backup", &["bookmarks:read"])
        .await
        .unwrap();
    let other = make(&app, &ada.access_token, "Other", &["bookmarks:read"])
        .await
        .unwrap();
    let session = ada.session.unwrap();

    let valid = verify(&app, &made.token).await;

    assert_eq!(valid.state(), State::Valid);
    assert_eq!((valid.api_token_id, valid.user_id), (made.id, session.user_id));
    assert_eq!((valid.scopes, valid.expire_time), (made.scopes, made.expire_time));
    let id_of_one_secret_of_the_other = service::identity::ApiToken {
        id: service::identity::ApiToken::parse(&made.token).unwrap().id,
        secret: service::identity::ApiToken::parse(&other.token).unwrap().secret,
    };
    let unchecked = format!("{}0", &made.token[..made.token.len() - 1]);
    for wrong in [id_of_one_secret_of_the_other.write("test"), unchecked, String::new()] {
        let answer = verify(&app, &wrong).await;
        assert_eq!(answer.state(), State::Unknown, "{wrong}");
        assert_eq!(answer.user_id, "");
    }
}

#[tokio::test]
async fn a_revoked_token_ends_and_every_process_is_told() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    let made = make(&app, &ada.access_token, "Backup", &["bookmarks:read"])
        .await
        .unwrap();

    revoke(&app, &ada.access_token, &made.id).await.unwrap();
    revoke(&app, &ada.access_token, &made.id).await.unwrap();

    assert_eq!(verify(&app, &made.token).await.state(), State::Ended);
    assert_eq!(list(&app, &ada.access_token).await, []);
    let (mut client, internal) = app.internal("svc-bookmarks");
    let request = ListEndedSessionsRequest { since: None };
    let request = internal.request(Uuid::nil(), request, Duration::from_secs(2));
    let told = client.list_ended_sessions(request).await.unwrap().into_inner();
    assert_eq!(told.session_ids, [made.id]);
}

#[tokio::test]
async fn a_token_ends_by_itself_and_is_still_listed() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    let made = make(&app, &ada.access_token, "Backup", &["bookmarks:read"])
        .await
        .unwrap();
    app.run_as_admin("UPDATE api_tokens SET expires_at = now()").await;

    assert_eq!(verify(&app, &made.token).await.state(), State::Ended);
    assert_eq!(list(&app, &ada.access_token).await.len(), 1);
}

#[tokio::test]
async fn tokens_are_listed_newest_first_page_by_page() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    for name in ["one", "two", "three"] {
        make(&app, &ada.access_token, name, &["bookmarks:read"]).await.unwrap();
    }

    let first = page(&app, &ada.access_token, 2, "").await.unwrap();
    let last = page(&app, &ada.access_token, 2, &first.next_page_token).await.unwrap();

    let names = |page: &ListApiTokensResponse| -> Vec<String> {
        page.api_tokens.iter().map(|token| token.name.clone()).collect()
    };
    assert_eq!(names(&first), ["three", "two"]);
    assert_eq!(names(&last), ["one"]);
    assert_eq!(last.next_page_token, "");
}

#[tokio::test]
async fn another_users_token_is_neither_seen_nor_revoked() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = app.log_in("bob@example.com", PASSWORD).await.unwrap();
    let hers = make(&app, &ada.access_token, "Backup", &["bookmarks:read"])
        .await
        .unwrap();

    for id in [hers.id.as_str(), "01890a5d-ac96-774b-bcce-b302099a8057", "nonsense", ""] {
        assert_eq!(reason(revoke(&app, &bob.access_token, id).await), not_found(), "{id}");
    }
    assert_eq!(list(&app, &bob.access_token).await, []);
    assert_eq!(verify(&app, &hers.token).await.state(), State::Valid);
}

#[tokio::test]
async fn every_broken_rule_of_a_request_is_named() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    let make = async |request: CreateApiTokenRequest| {
        let request = with_token(request, &ada.access_token);
        violations(&tokens(&app).create_api_token(request).await.unwrap_err())
    };

    let empty = make(CreateApiTokenRequest::default()).await;
    let wrong = make(CreateApiTokenRequest {
        name: "a\nb".to_owned(),
        scopes: vec!["bookmarks:read".to_owned(), "account:write".to_owned()],
        expire_time: Some(to_proto(clock::now() + 367 * DAY)),
    })
    .await;

    assert_eq!(
        empty,
        [
            "expire_time must be there: every token ends",
            "name must not be empty",
            "scopes must not be empty"
        ]
    );
    assert_eq!(
        wrong,
        [
            "expire_time must be within a year",
            "name must not contain control characters",
            "scopes[1] must be one of bookmarks:read, bookmarks:write, imports:read, imports:write, tasks:read, \
             tasks:write"
        ]
    );
}

#[tokio::test]
async fn making_a_token_takes_a_log_in_of_the_last_five_minutes() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    app.run_as_admin("UPDATE sessions SET created_at = created_at - interval '301 seconds'")
        .await;

    let stale = make(&app, &ada.access_token, "Backup", &["bookmarks:read"]).await;
    let again = app.log_in(EMAIL, PASSWORD).await.unwrap();

    assert_eq!(reason(stale), (Code::PermissionDenied, "STEP_UP_REQUIRED".to_owned()));
    make(&app, &again.access_token, "Backup", &["bookmarks:read"])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_session_that_has_ended_makes_lists_and_revokes_nothing() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    let made = make(&app, &ada.access_token, "Backup", &["bookmarks:read"])
        .await
        .unwrap();
    app.log_out(&ada.access_token).await.unwrap();
    let ended = (Code::Unauthenticated, "SESSION_ENDED".to_owned());

    let another = make(&app, &ada.access_token, "Other", &["bookmarks:read"]).await;

    assert_eq!(reason(another), ended);
    assert_eq!(reason(page(&app, &ada.access_token, 0, "").await), ended);
    assert_eq!(reason(revoke(&app, &ada.access_token, &made.id).await), ended);
    assert_eq!(
        verify(&app, &made.token).await.state(),
        State::Valid,
        "it outlives the session"
    );
}

#[tokio::test]
async fn checklist_2_3_3_of_many_made_at_once_none_is_one_too_many() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    // 48 that count, and as many that do not.
    app.run_as_admin(
        "INSERT INTO api_tokens (id, user_id, lookup_id, environment, secret_hash, name, scopes, created_at, expires_at,
                                 revoked_at)
         SELECT gen_random_uuid(), users.id, number::text, 'live', sha256(''), 'old', '{tasks:read}', now(),
                now() + (CASE WHEN number % 4 = 1 THEN -1 ELSE 1 END) * interval '1 day',
                CASE WHEN number % 4 = 3 THEN now() END
         FROM users, generate_series(1, 96) AS number",
    )
    .await;

    let made = (0..8).map(|_| make(&app, &ada.access_token, "new", &["tasks:read"]));
    let made = futures::future::join_all(made).await;

    let (made, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 2);
    for refused in refused {
        let expected = (Code::FailedPrecondition, "TOO_MANY_API_TOKENS".to_owned());
        assert_eq!(reason(refused), expected);
    }
}

#[tokio::test]
async fn the_last_use_is_noted_and_within_a_minute_not_again() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    let token = make(&app, &ada.access_token, "a", &["tasks:read"]).await.unwrap();
    let later = make(&app, &ada.access_token, "b", &["tasks:read"]).await.unwrap();
    assert_eq!(token.last_used_time, None);

    verify(&app, &token.token).await;
    let first = last_use(&app, &ada.access_token, &token.id).await;
    verify(&app, &token.token).await;
    verify(&app, &later.token).await;
    // Uses are written in their order: once this one is there, the one before it was or was not.
    last_use(&app, &ada.access_token, &later.id).await;
    let second = last_use(&app, &ada.access_token, &token.id).await;
    app.run_as_admin("UPDATE api_tokens SET last_used_at = now() - interval '61 seconds'")
        .await;
    let before = last_use(&app, &ada.access_token, &token.id).await;
    verify(&app, &token.token).await;
    let noted_again = async {
        while last_use(&app, &ada.access_token, &token.id).await == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };

    assert_eq!(first, second);
    tokio::time::timeout(Duration::from_secs(30), noted_again)
        .await
        .unwrap();
}

/// Waits for the first use to be there.
async fn last_use(app: &TestApp, access_token: &str, id: &str) -> Timestamp {
    let noted = async {
        loop {
            let listed = list(app, access_token).await;
            let token = listed.into_iter().find(|token| token.id == id).unwrap();
            if let Some(moment) = token.last_used_time {
                return moment;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), noted).await.unwrap()
}

#[tokio::test]
async fn checklist_api5_identity_takes_no_api_token_whatever_it_allows() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    let scopes = ["bookmarks:read", "bookmarks:write", "imports:read", "tasks:write"];
    let made = make(&app, &ada.access_token, "Backup", &scopes).await.unwrap();
    // Past the rules: even with the scope.
    app.run_as_admin("UPDATE api_tokens SET scopes = '{account:read,account:write}'")
        .await;
    let mut sessions = SessionServiceClient::new(channel(&app.address).unwrap());
    let mut auth = app.auth.clone();
    let token = made.token.as_str();

    let answers = [
        reason(app.me(token).await),
        reason(make(&app, token, "Other", &["tasks:read"]).await),
        reason(page(&app, token, 0, "").await),
        reason(revoke(&app, token, &made.id).await),
        reason(
            sessions
                .list_sessions(with_token(ListSessionsRequest::default(), token))
                .await,
        ),
        reason(
            auth.change_password(with_token(ChangePasswordRequest::default(), token))
                .await,
        ),
        reason(
            auth.delete_current_session(with_token(DeleteCurrentSessionRequest {}, token))
                .await,
        ),
    ];

    for answer in answers {
        assert_eq!(answer, (Code::PermissionDenied, "API_TOKEN_NOT_ALLOWED".to_owned()));
    }
    let other_end = if token.ends_with('0') { '1' } else { '0' };
    let slip = format!("{}{other_end}", &token[..token.len() - 1]);
    assert_eq!(
        reason(app.me(&slip).await),
        (Code::Unauthenticated, "TOKEN_INVALID".to_owned())
    );
}

#[tokio::test]
async fn the_database_has_no_secret_to_steal() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    let made = make(&app, &ada.access_token, "Backup", &["bookmarks:read"])
        .await
        .unwrap();

    let dump = "SELECT string_agg(api_tokens::text, '') FROM api_tokens";
    let dump: String = sqlx::query(dump)
        .fetch_one(&mut app.admin().await)
        .await
        .unwrap()
        .get(0);

    let secret = service::identity::ApiToken::parse(&made.token).unwrap().secret;
    assert!(dump.contains("Backup"));
    assert!(!dump.contains(secret));
}
