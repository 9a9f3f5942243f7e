//! Calls every RPC of the contract with another user's ids, through the edge and by direct gRPC.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use bookmesh_proto::FILE_DESCRIPTOR_SET;
use bytes::Bytes;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value as ProtoValue, prost::Message};
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Client, Export, ExportShape, start_platform};
use tonic::{Code, Request, Status, client::Grpc, transport::Channel};

mod raw_codec;

const LIMIT: Duration = Duration::from_secs(60);
const UNKNOWN_ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[tokio::test]
async fn checklist_api1_no_rpc_shows_or_changes_what_is_anothers() -> Result<()> {
    let platform = start_platform().await?;
    let alice = Client::register(&platform.edge_url(), "alice@example.com").await?;
    let bob = Client::register(&platform.edge_url(), "bob@example.com").await?;
    let ids = fill(&alice).await?;
    let before = alice.bookmarks("").await?;

    for rule in rules()? {
        let with_hers = call(&bob, &rule, |collection| ids[collection].clone()).await?;
        let with_unknown = call(&bob, &rule, |_| UNKNOWN_ID.to_owned()).await?;

        if rule.path.starts_with("/v1/admin/") {
            for answer in [&with_hers, &with_unknown] {
                assert_eq!(answer.0, 403, "{} {} answered {}", rule.verb, rule.path, answer.1);
                assert_eq!(answer.1["code"], "PERMISSION_DENIED", "{}", answer.1);
            }
        } else if rule.path.contains('{') {
            assert_eq!(with_hers.0, 404, "{} {} answered {}", rule.verb, rule.path, with_hers.1);
            assert_eq!(
                with_unknown.0, 404,
                "{} {} answered {}",
                rule.verb, rule.path, with_unknown.1
            );
        } else {
            let leaked = ids.values().find(|id| with_hers.1.to_string().contains(*id));
            assert_eq!(leaked, None, "{} {} answered {}", rule.verb, rule.path, with_hers.1);
        }
    }

    assert_eq!(alice.bookmarks("").await?, before, "nothing of hers has changed");
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn checklist_api1_no_rpc_of_a_service_shows_or_changes_what_is_anothers() -> Result<()> {
    let platform = start_platform().await?;
    let alice = Client::register(&platform.edge_url(), "alice@example.com").await?;
    let bob = Client::register(&platform.edge_url(), "bob@example.com").await?;
    let ids = fill(&alice).await?;
    let before = alice.bookmarks("").await?;

    for method in methods()?
        .into_iter()
        .filter(|method| !is_public(method) && !ends_the_session(method))
    {
        let address = platform.service_address(service_of(&method));
        let code = call_directly(&address, &method, bob.token(), &ids)
            .await
            .err()
            .map(|status| status.code());
        let anonymous = call_directly(&address, &method, "", &ids)
            .await
            .err()
            .map(|status| status.code());

        assert_eq!(
            anonymous,
            Some(Code::Unauthenticated),
            "{} without a token",
            method.full_name()
        );
        if method.parent_service().name().ends_with("InternalService") {
            assert!(
                matches!(code, Some(Code::Unauthenticated | Code::PermissionDenied)),
                "{} with a user's token: {code:?}",
                method.full_name()
            );
        } else if method.parent_service().name() == "AdminService" {
            assert_eq!(code, Some(Code::PermissionDenied), "{}", method.full_name());
        } else if has_id(&method) {
            assert_eq!(code, Some(Code::NotFound), "{} with another's id", method.full_name());
        }
    }

    assert_eq!(alice.bookmarks("").await?, before, "nothing of hers has changed");
    platform.stop().await;
    Ok(())
}

#[tokio::test]
async fn checklist_api5_an_api_token_is_its_users_and_reaches_nothing_of_identity() -> Result<()> {
    let platform = start_platform().await?;
    let alice = Client::register(&platform.edge_url(), "alice@example.com").await?;
    let bob = Client::register(&platform.edge_url(), "bob@example.com").await?;
    let ids = fill(&alice).await?;
    let before = alice.bookmarks("").await?;
    let scopes = [
        "bookmarks:read",
        "bookmarks:write",
        "imports:read",
        "imports:write",
        "tasks:read",
        "tasks:write",
    ];
    let api_token = bob.make_api_token("his", &scopes).await?;
    let token = api_token.text("token");
    assert!(token.starts_with("bmk_"), "{}", api_token.body);

    for method in methods()?.into_iter().filter(|method| !is_public(method)) {
        let service = service_of(&method);
        let answer = call_directly(&platform.service_address(service), &method, token, &ids).await;
        let code = answer.err().map(|status| status.code());

        if method.parent_service().name().ends_with("InternalService") {
            assert_eq!(code, Some(Code::Unauthenticated), "{}", method.full_name());
        } else if service == "svc-auth" {
            assert_eq!(code, Some(Code::PermissionDenied), "{}", method.full_name());
        } else if has_id(&method) {
            assert_eq!(code, Some(Code::NotFound), "{} with another's id", method.full_name());
        } else {
            let refused = matches!(code, Some(Code::Unauthenticated | Code::PermissionDenied));
            assert!(!refused, "{}: {code:?}", method.full_name());
        }
    }

    assert_eq!(alice.bookmarks("").await?, before, "nothing of hers has changed");
    platform.stop().await;
    Ok(())
}

/// Gives the user a bookmark, an import, a task, an API token and an invitation; answers their ids and the user's own by the collection
/// in their path.
async fn fill(client: &Client) -> Result<BTreeMap<&'static str, String>> {
    let html = Export::generate(
        "hers",
        ExportShape {
            bookmarks: 5,
            folders: 1,
        },
    )
    .html;
    let import = client.upload(html).await?;
    let (import_id, task_id) = (text(&import, "id"), text(&import, "taskId"));
    client
        .wait_for_import(&import_id, LIMIT, |import| import["state"] == "COMPLETED")
        .await?;
    let bookmarks = client.bookmarks("").await?;
    let bookmark_id = text(bookmarks.values().next().context("there are bookmarks")?, "id");
    let sessions = client.get("/v1/sessions").await?.body;
    let session_id = text(&sessions["sessions"][0], "id");
    let api_token = client.make_api_token("hers", &["bookmarks:read"]).await?.body;
    // Of the installation's first user, who is admin.
    let invitation = json!({"email": "grace@example.com"});
    let invitation = client.post("/v1/invitations", &invitation).await?.body;
    let me = client.get("/v1/users/me").await?.body;
    Ok(BTreeMap::from([
        ("users", text(&me, "id")),
        ("bookmarks", bookmark_id),
        ("imports", import_id),
        ("tasks", task_id),
        ("sessions", session_id),
        ("apiTokens", text(&api_token, "id")),
        // One takes a device that keeps it, which the tests of svc-auth have: there, hers are tried too.
        ("passkeys", UNKNOWN_ID.to_owned()),
        // As one takes a provider.
        ("identities", UNKNOWN_ID.to_owned()),
        ("invitations", text(&invitation, "id")),
    ]))
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

struct Rule {
    verb: Method,
    path: String,
}

/// The HTTP rules of every RPC that needs a user, except the one that would end the session.
fn rules() -> Result<Vec<Rule>> {
    let needs_user = |method: &MethodDescriptor| !is_public(method) && !ends_the_session(method);
    Ok(methods()?
        .iter()
        .filter(|method| needs_user(method))
        .filter_map(http_rule)
        .collect())
}

fn methods() -> Result<Vec<MethodDescriptor>> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
    Ok(pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect())
}

fn http_rule(method: &MethodDescriptor) -> Option<Rule> {
    let rule = option(method, "google.api.http")?;
    ["get", "post", "patch", "delete"].into_iter().find_map(|verb| {
        let path = rule.get_field_by_name(verb)?.as_str()?.to_owned();
        let verb = Method::from_bytes(verb.to_uppercase().as_bytes()).ok()?;
        (!path.is_empty()).then_some(Rule { verb, path })
    })
}

fn is_public(method: &MethodDescriptor) -> bool {
    let policy = option(method, "bookmesh.edge.v1.policy").expect("every RPC has a policy");
    policy.get_field_by_name("auth").and_then(|auth| auth.as_enum_number()) == Some(1)
}

fn ends_the_session(method: &MethodDescriptor) -> bool {
    method.name() == "DeleteCurrentSession"
}

fn option(method: &MethodDescriptor, extension: &str) -> Option<DynamicMessage> {
    let extension = method.parent_pool().get_extension_by_name(extension)?;
    let options = method.options();
    options
        .has_extension(&extension)
        .then(|| options.get_extension(&extension).as_message().cloned())?
}

async fn call(client: &Client, rule: &Rule, id: impl Fn(&str) -> String) -> Result<(u16, Value)> {
    let mut segments: Vec<String> = Vec::new();
    for segment in rule.path.split('/') {
        let variable_end = segment.find('}').filter(|_| segment.starts_with('{'));
        let collection = segments.last().cloned().unwrap_or_default();
        segments.push(variable_end.map_or(segment.to_owned(), |end| id(&collection) + &segment[end + 1..]));
    }
    let request = client.request(rule.verb.clone(), &segments.join("/"));
    let request = match rule.verb {
        Method::POST if rule.path == "/v1/imports" => request.header("content-type", "text/html").body("<DL></DL>"),
        Method::POST if rule.path == "/v1/bookmarks" => request.json(&json!({"url": "https://bob.example"})),
        Method::POST => request.json(&json!({})),
        Method::PATCH if rule.path.starts_with("/v1/sessions") || rule.path.starts_with("/v1/passkeys") => {
            request.json(&json!({"name": "mine now"}))
        }
        Method::PATCH => request.json(&json!({"title": "mine now"})),
        _ => request,
    };
    let answer = client.send(request).await?;
    Ok((answer.status, answer.body))
}

fn service_of(method: &MethodDescriptor) -> &'static str {
    match method.parent_service().package_name() {
        "bookmesh.auth.v1" => "svc-auth",
        "bookmesh.bookmarks.v1" => "svc-bookmarks",
        "bookmesh.imports.v1" => "svc-import",
        "bookmesh.task.v1" => "svc-task",
        "bookmesh.enrich.v1" => "svc-enrich",
        other => panic!("which service has {other}?"),
    }
}

fn has_id(method: &MethodDescriptor) -> bool {
    let input = method.input();
    ["id", "bookmark_id"]
        .iter()
        .any(|name| input.get_field_by_name(name).is_some())
        || ["UpdateBookmark", "UpdateSession"].contains(&method.name())
}

async fn call_directly(
    address: &str,
    method: &MethodDescriptor,
    token: &str,
    ids: &BTreeMap<&'static str, String>,
) -> Result<Bytes, Status> {
    let channel = Channel::from_shared(address.to_owned())
        .expect("an address is a URI")
        .connect_lazy();
    let mut grpc = Grpc::new(channel);
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let message = Bytes::from(request_with_ids(method, ids).encode_to_vec());
    let mut request = Request::new(tokio_stream::once(message));
    if !token.is_empty() {
        let header = format!("Bearer {token}").parse().expect("a token is ASCII");
        request.metadata_mut().insert("authorization", header);
    }
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = path.parse().expect("an RPC's path is a URI");
    // Every RPC is a stream of messages on the wire, so that one way of calling serves all four kinds.
    let response = grpc.streaming(request, path, raw_codec::RawCodec).await?;
    response.into_inner().message().await.map(Option::unwrap_or_default)
}

fn request_with_ids(method: &MethodDescriptor, ids: &BTreeMap<&'static str, String>) -> DynamicMessage {
    let collection = match method.parent_service().package_name() {
        "bookmesh.auth.v1" if method.parent_service().name() == "ApiTokenService" => "apiTokens",
        "bookmesh.auth.v1" if method.parent_service().name() == "InvitationService" => "invitations",
        "bookmesh.auth.v1" => "sessions",
        "bookmesh.imports.v1" => "imports",
        "bookmesh.task.v1" => "tasks",
        _ => "bookmarks",
    };
    let id = ProtoValue::String(ids[collection].clone());
    let mut message = DynamicMessage::new(method.input());
    for name in ["id", "bookmark_id"] {
        if method.input().get_field_by_name(name).is_some() {
            message.set_field_by_name(name, id.clone());
        }
    }
    if let Some(field) = method.input().get_field_by_name("bookmark") {
        let mut bookmark = DynamicMessage::new(field.kind().as_message().expect("bookmark is a message").clone());
        bookmark.set_field_by_name("id", id);
        bookmark.set_field_by_name("url", ProtoValue::String("https://bob.example/direct".to_owned()));
        message.set_field(&field, ProtoValue::Message(bookmark));
    }
    if let Some(field) = method.input().get_field_by_name("session") {
        let mut session = DynamicMessage::new(field.kind().as_message().expect("session is a message").clone());
        session.set_field_by_name("id", ProtoValue::String(ids["sessions"].clone()));
        message.set_field(&field, ProtoValue::Message(session));
    }
    message
}
