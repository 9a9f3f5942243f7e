//! What tools and orchestrators see: health and reflection.

use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};

use crate::app::App;

const SERVICES: [&str; 7] = [
    "bookmesh.auth.v1.AuthService",
    "bookmesh.bookmarks.v1.BookmarkInternalService",
    "bookmesh.enrich.v1.EnrichmentService",
    "bookmesh.task.v1.TaskService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

#[tokio::test]
async fn health_knows_the_process_and_each_of_its_services() {
    let app = App::start().await;
    let mut health = HealthClient::new(app.channel.clone());

    for service in ["", "bookmesh.task.v1.TaskService"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let elsewhere = HealthCheckRequest {
        service: "bookmesh.imports.v1.ImportService".to_owned(),
    };
    assert_eq!(health.check(elsewhere).await.unwrap_err().code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn reflection_lists_the_services_that_are_here() {
    use v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let app = App::start().await;
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };

    let answers = ServerReflectionClient::new(app.channel.clone())
        .server_reflection_info(tokio_stream::iter([request]))
        .await;

    let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let mut names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, SERVICES);
}

#[tokio::test]
async fn old_tools_find_every_listed_service_described() {
    use v1alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let app = App::start().await;
    let requests: Vec<ServerReflectionRequest> = SERVICES
        .iter()
        .map(|name| ServerReflectionRequest {
            message_request: Some(MessageRequest::FileContainingSymbol((*name).to_owned())),
            ..ServerReflectionRequest::default()
        })
        .collect();

    let mut answers = ServerReflectionClient::new(app.channel.clone())
        .server_reflection_info(tokio_stream::iter(requests))
        .await
        .unwrap()
        .into_inner();

    for name in SERVICES {
        let answer = answers.message().await.unwrap().unwrap();
        let found = matches!(
            answer.message_response,
            Some(MessageResponse::FileDescriptorResponse(_))
        );
        assert!(found, "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn the_admin_port_answers_the_orchestrator() {
    let app = App::start().await;
    app.ask("").await.unwrap();

    assert_eq!(app.admin("/health/live").await, (200, r#"{"status":"live"}"#.into()));
    assert_eq!(
        app.admin("/health/startup").await,
        (200, r#"{"status":"started"}"#.into())
    );
    assert_eq!(
        app.admin("/health/ready").await,
        (200, r#"{"checks":[],"status":"ready"}"#.into())
    );
    assert_eq!(app.admin("/nothing").await.0, 404);
}

#[tokio::test]
async fn a_failing_or_hanging_check_makes_the_process_unready_and_is_named() {
    let app = App::start_with(|service| {
        service.add_readiness("fine", || Box::pin(async { Ok(()) }));
        service.add_readiness("broken", || Box::pin(async { anyhow::bail!("no route to it") }));
        service.add_readiness("hanging", || Box::pin(std::future::pending()));
    })
    .await;
    app.ask("").await.unwrap();

    let (code, body) = app.admin("/health/ready").await;

    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(code, 503);
    assert_eq!(
        body["checks"],
        serde_json::json!([
            {"name": "fine", "ok": true},
            {"name": "broken", "ok": false, "error": "no route to it"},
            {"name": "hanging", "ok": false, "error": "no answer within 2 s"},
        ])
    );
}
