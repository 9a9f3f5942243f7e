//! An RPC that is added to a contract is there in REST and in OpenAPI, without a line of the edge.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use serde_json::{Value, json};

use crate::app::{App, Setup, compile};
use crate::library::Seen;
use crate::server::{AnyService, Named, one};

const CONTRACT: &str = r#"
syntax = "proto3";
package greeter.v1;
import "bookmesh/edge/v1/policy.proto";
import "google/api/annotations.proto";

service GreeterService {
  // Greets someone.
  rpc Greet(GreetRequest) returns (Greeting) {
    option (google.api.http) = {get: "/v1/people/{name}:greet"};
    option (bookmesh.edge.v1.policy) = {auth: PUBLIC};
  }
}
message GreetRequest { string name = 1; string language = 2; }
message Greeting { string text = 1; }
"#;

#[derive(Clone, PartialEq, Message)]
struct GreetRequest {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    language: String,
}

#[derive(Clone, PartialEq, Message)]
struct Greeting {
    #[prost(string, tag = "1")]
    text: String,
}

async fn greet(message: Bytes) -> Greeting {
    let request = GreetRequest::decode(message).unwrap();
    let greeting = if request.language == "de" { "Guten Tag" } else { "Hello" };
    Greeting {
        text: format!("{greeting}, {}", request.name),
    }
}

#[tokio::test]
async fn it_is_served_and_documented() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("greeter.proto");
    fs::write(&file, CONTRACT).unwrap();
    let service = AnyService::new(|_, request| async {
        let message = request.into_inner().message().await?.unwrap_or_default();
        Ok(one(&greet(message).await))
    });
    let routes = tonic::service::Routes::new(Named::<true>(service));

    let setup = Setup {
        package: "greeter.v1",
        descriptor_set: compile(&file),
        ..Setup::library("")
    };
    let app = App::start_with(setup, routes, Arc::new(Seen::default())).await;

    let answer: Value = app
        .get("/v1/people/Ada:greet?language=de")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer, json!({"text": "Guten Tag, Ada"}));
    let document: Value = app.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    assert_eq!(
        document["paths"]["/v1/people/{name}:greet"]["get"]["summary"],
        "Greets someone"
    );
}
