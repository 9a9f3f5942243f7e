//! The people who log in, straight at svc-auth's gRPC.

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::{Context, Result};
use bookmesh_proto::auth::v1::{
    CreateSessionRequest, CreateUserRequest, SessionTokens, auth_service_client::AuthServiceClient,
};
use devstack::platform::Platform;
use system_tests::PASSWORD;
use tokio::{sync::Semaphore, task::JoinSet};
use tonic::{Request, Status, metadata::MetadataValue, transport::Channel};

use crate::SERVICE;

/// How many register at a time; the queue before the hashing has room for more.
const REGISTER_AT_ONCE: usize = 16;

pub type AuthClient = AuthServiceClient<Channel>;

pub async fn connect(platform: &Platform) -> Result<AuthClient> {
    let address = platform.service_address(SERVICE);
    AuthServiceClient::connect(address)
        .await
        .context("connecting to svc-auth")
}

pub fn address_of(number: usize) -> String {
    format!("person{number}@example.com")
}

/// Registers so many people.
pub async fn register(client: &AuthClient, count: usize) -> Result<()> {
    let room = Arc::new(Semaphore::new(REGISTER_AT_ONCE));
    let mut registrations = JoinSet::new();
    for number in 0..count {
        let place = Arc::clone(&room).acquire_owned().await?;
        let mut client = client.clone();
        registrations.spawn(async move {
            let _place = place;
            let request = CreateUserRequest {
                email: address_of(number),
                password: PASSWORD.to_owned(),
                ..CreateUserRequest::default()
            };
            client.create_user(from(request, number)).await
        });
    }
    while let Some(registered) = registrations.join_next().await {
        registered?.context("registering")?;
    }
    Ok(())
}

pub async fn log_in(client: &mut AuthClient, number: usize, password: &str) -> Result<SessionTokens, Status> {
    let request = CreateSessionRequest {
        email: address_of(number),
        password: password.to_owned(),
        ..CreateSessionRequest::default()
    };
    Ok(client.create_session(from(request, number)).await?.into_inner())
}

/// A request as the edge sends it on for a caller with an address of its own: no two share one, nor a /24.
pub fn from<T>(message: T, number: usize) -> Request<T> {
    let network = u32::try_from(number).unwrap_or_default() % (1 << 23);
    let address = Ipv4Addr::from((11 << 24) + (network << 8) + 7);
    let mut request = Request::new(message);
    let value = MetadataValue::try_from(address.to_string()).expect("an address is ASCII");
    request.metadata_mut().insert("x-client-address", value);
    request
}
