//! A user's own sessions: seen, named, ended.

use bookmesh_proto::auth::v1::{
    CreateSessionRequest, DeleteSessionRequest, EndOtherSessionsRequest, ListEndedSessionsRequest, ListSessionsRequest,
    ListSessionsResponse, RefreshSessionRequest, Session, SessionTokens, UpdateSessionRequest,
    session_service_client::SessionServiceClient,
};
use devstack::shared;
use prost_types::FieldMask;
use service::client::channel;
use tonic::{Code, Request, Status, transport::Channel};

use crate::app::{EMAIL, PASSWORD, TestApp, reason, violations, with_token};

fn sessions(app: &TestApp) -> SessionServiceClient<Channel> {
    SessionServiceClient::new(channel(&app.address).unwrap())
}

async fn page(app: &TestApp, token: &str, page_size: i32, page_token: &str) -> Result<ListSessionsResponse, Status> {
    let request = ListSessionsRequest {
        page_size,
        page_token: page_token.to_owned(),
    };
    let answer = sessions(app).list_sessions(with_token(request, token)).await?;
    Ok(answer.into_inner())
}

async fn list(app: &TestApp, token: &str) -> Vec<Session> {
    page(app, token, 0, "").await.unwrap().sessions
}

async fn end(app: &TestApp, token: &str, id: &str) -> Result<(), Status> {
    let request = with_token(DeleteSessionRequest { id: id.to_owned() }, token);
    sessions(app).delete_session(request).await.map(drop)
}

async fn end_others(app: &TestApp, token: &str) -> Result<i32, Status> {
    let request = with_token(EndOtherSessionsRequest {}, token);
    let answer = sessions(app).end_other_sessions(request).await?;
    Ok(answer.into_inner().ended_count)
}

async fn rename(app: &TestApp, token: &str, id: &str, name: &str, mask: &[&str]) -> Result<Session, Status> {
    let session = Session {
        id: id.to_owned(),
        name: name.to_owned(),
        ..Session::default()
    };
    let request = UpdateSessionRequest {
        session: Some(session),
        update_mask: (!mask.is_empty()).then(|| FieldMask {
            paths: mask.iter().map(|path| (*path).to_owned()).collect(),
        }),
    };
    let answer = sessions(app).update_session(with_token(request, token)).await?;
    Ok(answer.into_inner())
}

fn id(tokens: &SessionTokens) -> String {
    tokens.session.clone().unwrap().id
}

fn ended() -> (Code, String) {
    (Code::Unauthenticated, "SESSION_ENDED".to_owned())
}

fn not_found() -> (Code, String) {
    (Code::NotFound, "NOT_FOUND".to_owned())
}

/// Logs in as the edge would, from a place and with a program.
async fn log_in_from(app: &TestApp, address: &str, user_agent: &str) -> SessionTokens {
    let mut request = Request::new(CreateSessionRequest {
        email: EMAIL.to_owned(),
        password: PASSWORD.to_owned(),
        ..CreateSessionRequest::default()
    });
    request
        .metadata_mut()
        .insert("x-client-address", address.parse().unwrap());
    request
        .metadata_mut()
        .insert("x-user-agent", user_agent.parse().unwrap());
    app.auth.clone().create_session(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn checklist_7_5_2_each_session_says_which_device_where_and_when_and_which_is_this_one() {
    let app = TestApp::start().await;
    app.register(EMAIL, PASSWORD).await.unwrap();
    let laptop = log_in_from(&app, "203.0.113.7", "Firefox/140").await;
    let phone = log_in_from(&app, "2001:db8::1", "Android/16").await;
    app.run_as_admin("UPDATE sessions SET rotated_at = rotated_at - interval '1 hour'")
        .await;
    let mut refresh = Request::new(RefreshSessionRequest {
        refresh_token: laptop.refresh_token.clone(),
    });
    refresh
        .metadata_mut()
        .insert("x-client-address", "198.51.100.9".parse().unwrap());
    app.auth.clone().refresh_session(refresh).await.unwrap();

    let seen = list(&app, &laptop.access_token).await;

    let summary: Vec<_> = seen
        .iter()
        .map(|session| {
            (
                session.id.clone(),
                session.user_agent.as_str(),
                session.address.as_str(),
                session.current,
            )
        })
        .collect();
    assert_eq!(
        summary,
        [
            (id(&phone), "Android/16", "2001:db8::1", false),
            (id(&laptop), "Firefox/140", "198.51.100.9", true),
        ]
    );
    let idle = |session: &Session| session.last_seen_time.unwrap().seconds - session.create_time.unwrap().seconds;
    assert!(idle(&seen[0]) < -3_500, "the phone was last seen an hour ago: {seen:?}");
    assert!(idle(&seen[1]) >= 0, "the laptop was seen just now: {seen:?}");
}

#[tokio::test]
async fn who_calls_without_an_edge_is_shown_by_the_address_of_the_peer() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;

    assert_eq!(list(&app, &tokens.access_token).await[0].address, "127.0.0.1");
}

#[tokio::test]
async fn a_list_has_no_session_that_has_ended_and_none_of_another_user() {
    let app = TestApp::start().await;
    let here = app.ada().await;
    let left = app.log_in(EMAIL, PASSWORD).await.unwrap();
    app.log_out(&left.access_token).await.unwrap();
    let idle = app.log_in(EMAIL, PASSWORD).await.unwrap();
    let old = app.log_in(EMAIL, PASSWORD).await.unwrap();
    for (column, tokens) in [("rotated_at", &idle), ("expires_at", &old)] {
        let past = format!("UPDATE sessions SET {column} = now() - interval '30 days' WHERE id = $1::uuid");
        sqlx::query(sqlx::AssertSqlSafe(past))
            .bind(id(tokens))
            .execute(&mut app.admin().await)
            .await
            .unwrap();
    }
    app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = app.log_in("bob@example.com", PASSWORD).await.unwrap();

    let ids: Vec<String> = list(&app, &here.access_token)
        .await
        .into_iter()
        .map(|session| session.id)
        .collect();

    assert_eq!(ids, [id(&here)]);
    assert_eq!(list(&app, &bob.access_token).await.len(), 1);
}

#[tokio::test]
async fn a_long_list_comes_in_pages_that_miss_and_repeat_nothing() {
    let app = TestApp::start().await;
    let mut expected = vec![id(&app.ada().await)];
    let mut last = None;
    for _ in 0..4 {
        let tokens = app.log_in(EMAIL, PASSWORD).await.unwrap();
        expected.insert(0, id(&tokens));
        last = Some(tokens.access_token);
    }
    let token = last.unwrap();

    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let answer = page(&app, &token, 2, &page_token).await.unwrap();
        assert!(answer.sessions.len() <= 2);
        seen.extend(answer.sessions.into_iter().map(|session| session.id));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }

    assert_eq!(seen, expected);
    let negative = page(&app, &token, -1, "").await.unwrap_err();
    assert_eq!(violations(&negative), ["page_size must not be negative"]);
    let strange = page(&app, &token, 0, "x").await.unwrap_err();
    assert_eq!(strange.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_session_keeps_the_name_that_its_user_gives_it() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;

    let renamed = rename(&app, &tokens.access_token, &id(&tokens), "Laptop", &["name"])
        .await
        .unwrap();

    assert_eq!((renamed.name.as_str(), renamed.current), ("Laptop", true));
    let refreshed = app.refresh(&tokens.refresh_token).await.unwrap();
    assert_eq!(refreshed.session.unwrap().name, "Laptop");
    assert_eq!(list(&app, &tokens.access_token).await[0].name, "Laptop");
}

#[tokio::test]
async fn a_bad_name_and_a_field_that_cannot_be_changed_are_named() {
    let app = TestApp::start().await;
    let tokens = app.ada().await;
    let renamed = |name: String, mask: Vec<&'static str>| {
        let (app, tokens) = (&app, &tokens);
        async move {
            rename(app, &tokens.access_token, &id(tokens), &name, &mask)
                .await
                .unwrap_err()
        }
    };

    let long = renamed("x".repeat(101), vec![]).await;
    let control = renamed("a\nb".to_owned(), vec![]).await;
    let address = renamed("Laptop".to_owned(), vec!["name", "address"]).await;

    assert_eq!(violations(&long), ["session.name must be at most 100 characters long"]);
    assert_eq!(
        violations(&control),
        ["session.name must not contain control characters"]
    );
    assert_eq!(
        violations(&address),
        ["update_mask must not name `address`: only `name` can be changed"]
    );
}

#[tokio::test]
async fn checklist_7_5_2_ending_one_session_ends_it_at_once_and_no_other_and_again_is_no_error() {
    let app = TestApp::start().await;
    let here = app.ada().await;
    let lost = app.log_in(EMAIL, PASSWORD).await.unwrap();
    app.me(&lost.access_token).await.unwrap();

    end(&app, &here.access_token, &id(&lost)).await.unwrap();

    assert_eq!(reason(app.me(&lost.access_token).await), ended());
    assert_eq!(reason(app.refresh(&lost.refresh_token).await), ended());
    app.me(&here.access_token).await.unwrap();
    end(&app, &here.access_token, &id(&lost)).await.unwrap();
    end(&app, &here.access_token, &id(&here)).await.unwrap();
    assert_eq!(reason(app.me(&here.access_token).await), ended());
    end(&app, &here.access_token, &id(&here)).await.unwrap();
}

#[tokio::test]
async fn what_is_not_yours_is_not_there() {
    let app = TestApp::start().await;
    let ada = app.ada().await;
    app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = app.log_in("bob@example.com", PASSWORD).await.unwrap();
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057".to_owned();

    for other in [id(&ada), unknown, "no id".to_owned(), String::new()] {
        assert_eq!(
            reason(end(&app, &bob.access_token, &other).await),
            not_found(),
            "{other}"
        );
        let renamed = rename(&app, &bob.access_token, &other, "mine", &[]).await;
        assert_eq!(reason(renamed), not_found(), "{other}");
    }

    app.me(&ada.access_token).await.unwrap();
    assert_eq!(list(&app, &ada.access_token).await[0].name, "");
}

#[tokio::test]
async fn ending_all_others_keeps_this_one_and_everybody_elses() {
    let app = TestApp::start().await;
    let here = app.ada().await;
    let others = [
        app.log_in(EMAIL, PASSWORD).await.unwrap(),
        app.log_in(EMAIL, PASSWORD).await.unwrap(),
    ];
    app.register("bob@example.com", PASSWORD).await.unwrap();
    let bob = app.log_in("bob@example.com", PASSWORD).await.unwrap();

    assert_eq!(end_others(&app, &here.access_token).await.unwrap(), 2);

    for other in &others {
        assert_eq!(reason(app.me(&other.access_token).await), ended());
        assert_eq!(reason(app.refresh(&other.refresh_token).await), ended());
    }
    app.me(&here.access_token).await.unwrap();
    app.me(&bob.access_token).await.unwrap();
    assert_eq!(end_others(&app, &here.access_token).await.unwrap(), 0);
}

#[tokio::test]
async fn other_services_learn_which_sessions_were_ended() {
    let app = TestApp::start().await;
    let here = app.ada().await;
    let (one, other) = (
        app.log_in(EMAIL, PASSWORD).await.unwrap(),
        app.log_in(EMAIL, PASSWORD).await.unwrap(),
    );
    end(&app, &here.access_token, &id(&one)).await.unwrap();
    end_others(&app, &here.access_token).await.unwrap();

    let (mut client, internal) = app.internal("svc-bookmarks");
    let request = ListEndedSessionsRequest { since: None };
    let request = internal.request(uuid::Uuid::nil(), request, std::time::Duration::from_secs(2));
    let mut told = client
        .list_ended_sessions(request)
        .await
        .unwrap()
        .into_inner()
        .session_ids;

    told.sort();
    let mut expected = vec![id(&one), id(&other)];
    expected.sort();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn an_ended_session_ends_no_other_and_sees_none() {
    let app = TestApp::start().await;
    let stays = app.ada().await;
    let stolen = app.log_in(EMAIL, PASSWORD).await.unwrap();
    app.me(&stolen.access_token).await.unwrap();
    // Past Redis, which still says that it is live.
    sqlx::query("UPDATE sessions SET revoked_at = now(), revoked_reason = 'ended' WHERE id = $1::uuid")
        .bind(id(&stolen))
        .execute(&mut app.admin().await)
        .await
        .unwrap();

    assert_eq!(reason(end_others(&app, &stolen.access_token).await), ended());
    assert_eq!(reason(end(&app, &stolen.access_token, &id(&stays)).await), ended());
    let renamed = rename(&app, &stolen.access_token, &id(&stays), "mine", &[]).await;
    assert_eq!(reason(renamed), ended());
    app.me(&stays.access_token).await.unwrap();
}

#[tokio::test]
async fn with_redis_emptied_nobody_is_logged_out_and_the_ended_stay_ended() {
    let app = TestApp::start().await;
    let here = app.ada().await;
    let one = app.log_in(EMAIL, PASSWORD).await.unwrap();
    let other = app.log_in(EMAIL, PASSWORD).await.unwrap();
    end(&app, &here.access_token, &id(&one)).await.unwrap();
    end_others(&app, &here.access_token).await.unwrap();

    shared().await.flush_redis().unwrap();

    app.me(&here.access_token).await.unwrap();
    assert_eq!(list(&app, &here.access_token).await.len(), 1);
    for gone in [&one, &other] {
        assert_eq!(reason(app.me(&gone.access_token).await), ended());
        assert_eq!(reason(app.refresh(&gone.refresh_token).await), ended());
    }
}
