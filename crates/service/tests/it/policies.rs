//! Who may call what.

use bookmesh_proto::{auth::v1::GetJwksRequest, bookmarks::v1::UpsertBookmarksRequest};
use serde_json::json;
use service::{clock, status};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::app::{App, NAME, ask, with_token};

fn refusal(status: &Status) -> (Code, String) {
    (status.code(), status::reason(status).unwrap_or_default())
}

#[tokio::test]
async fn a_public_method_needs_no_token_and_ignores_a_bad_one() {
    let app = App::start().await;

    app.public().get_jwks(GetJwksRequest {}).await.unwrap();
    app.public()
        .get_jwks(with_token(GetJwksRequest {}, "nonsense"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_user_method_knows_its_user() {
    let app = App::start().await;
    let user = Uuid::now_v7();
    let token = app.issuer.access_token(user);

    let answer = app.user().get_enrichment(with_token(ask(""), &token)).await.unwrap();

    assert_eq!(answer.into_inner().bookmark_id, user.to_string());
}

#[tokio::test]
async fn a_user_method_refuses_callers_without_an_access_token() {
    let app = App::start().await;
    let service_token = app.issuer.service_token("svc-import", Uuid::now_v7(), NAME);

    let without = app.user().get_enrichment(ask("")).await.unwrap_err();
    let service = app
        .user()
        .get_enrichment(with_token(ask(""), &service_token))
        .await
        .unwrap_err();

    assert_eq!(refusal(&without), (Code::Unauthenticated, "TOKEN_MISSING".into()));
    assert_eq!(refusal(&service), (Code::Unauthenticated, "TOKEN_INVALID".into()));
}

#[tokio::test]
async fn a_token_with_scopes_allows_no_more_than_they_say() {
    let app = App::start().await;
    let now = clock::now().unix_timestamp();
    let token = |scope: &str| {
        let claims = json!({
            "iss": "bookmesh", "aud": "bookmesh", "sub": Uuid::now_v7(), "sid": Uuid::now_v7(),
            "exp": now + 60, "scope": scope,
        });
        app.issuer
            .sign(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"test"}"#, &claims.to_string())
    };

    let enough = token("tasks:read bookmarks:read");
    let too_little = token("tasks:read bookmarks:readonly");

    app.user().get_enrichment(with_token(ask(""), &enough)).await.unwrap();
    let refused = app
        .user()
        .get_enrichment(with_token(ask(""), &too_little))
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused), (Code::PermissionDenied, "SCOPE_MISSING".into()));
}

#[tokio::test]
async fn checklist_13_2_a_service_method_takes_the_services_that_its_policy_names() {
    let app = App::start().await;
    let call = async |token: &str| {
        let request = with_token(UpsertBookmarksRequest::default(), token);
        app.internal().upsert_bookmarks(request).await
    };
    let owner = Uuid::now_v7();

    call(&app.issuer.service_token("svc-import", owner, NAME))
        .await
        .unwrap();
    let user = call(&app.issuer.access_token(owner)).await.unwrap_err();
    let other_caller = call(&app.issuer.service_token("svc-enrich", owner, NAME))
        .await
        .unwrap_err();
    let other_callee = call(&app.issuer.service_token("svc-import", owner, "svc-task"))
        .await
        .unwrap_err();
    let unknown_service = call(&app.issuer.service_token("svc-mystery", owner, NAME))
        .await
        .unwrap_err();
    let for_nobody = call(&app.issuer.service_token("svc-import", Uuid::nil(), NAME))
        .await
        .unwrap_err();

    assert_eq!(refusal(&user), (Code::Unauthenticated, "TOKEN_INVALID".into()));
    assert_eq!(
        refusal(&other_caller),
        (Code::PermissionDenied, "CALLER_NOT_ALLOWED".into())
    );
    assert_eq!(refusal(&other_callee), (Code::Unauthenticated, "TOKEN_INVALID".into()));
    assert_eq!(
        refusal(&unknown_service),
        (Code::Unauthenticated, "TOKEN_INVALID".into())
    );
    assert_eq!(
        refusal(&for_nobody),
        (Code::PermissionDenied, "CALLER_NOT_ALLOWED".into())
    );
}

#[tokio::test]
async fn the_token_of_an_ended_session_is_refused_even_if_it_was_seen_before() {
    let app = App::start().await;
    let session = Uuid::now_v7();
    let token = app.issuer.access_token_of(Uuid::now_v7(), session);
    app.user().get_enrichment(with_token(ask(""), &token)).await.unwrap();

    app.issuer.end_session(session);

    let refused = app
        .user()
        .get_enrichment(with_token(ask(""), &token))
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused), (Code::Unauthenticated, "SESSION_ENDED".into()));
}

#[tokio::test]
async fn a_method_that_the_contract_does_not_have_is_unimplemented() {
    let app = App::start().await;
    let mut grpc = tonic::client::Grpc::new(app.channel.clone());
    grpc.ready().await.unwrap();

    let path = http::uri::PathAndQuery::from_static("/bookmesh.auth.v1.AuthService/DropEverything");
    let codec = tonic_prost::ProstCodec::<GetJwksRequest, GetJwksRequest>::default();
    let refused = grpc
        .unary(tonic::Request::new(GetJwksRequest {}), path, codec)
        .await
        .unwrap_err();

    assert_eq!(refused.code(), Code::Unimplemented);
}
