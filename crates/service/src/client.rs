//! Calls to other services: channels, and requests that carry identity, deadline and trace.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use crate::{clock, identity::ServiceSigner, trace};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A channel that connects at its first call and again whenever it must. Needs a running tokio runtime.
pub fn channel(address: &str) -> anyhow::Result<Channel> {
    channel_within(address, CONNECT_TIMEOUT)
}

/// A channel that takes no longer than this to connect.
pub fn channel_within(address: &str, connect_timeout: Duration) -> anyhow::Result<Channel> {
    let endpoint =
        Endpoint::from_shared(address.to_owned()).with_context(|| format!("reading the address {address}"))?;
    let channel = endpoint
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_lazy();
    Ok(channel)
}

/// Makes requests to one other service in this service's own name.
#[derive(Clone)]
pub struct InternalClient {
    channel: Channel,
    signer: ServiceSigner,
    audience: Arc<str>,
}

impl InternalClient {
    /// Calls the service `audience`, such as `svc-task`, through `channel`.
    pub fn new(channel: Channel, signer: ServiceSigner, audience: &str) -> Self {
        Self {
            channel,
            signer,
            audience: audience.into(),
        }
    }

    /// The channel, for a generated client.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A request for `owner`, with a service token, a deadline and the trace of the current span.
    pub fn request<T>(&self, owner: Uuid, message: T, timeout: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(timeout);
        let token = self.signer.token(owner, &self.audience, clock::now());
        let authorization: MetadataValue<Ascii> = format!("Bearer {token}")
            .parse()
            .expect("tokens are ASCII without control characters");
        request.metadata_mut().insert("authorization", authorization);
        trace::inject(request.metadata_mut());
        request
    }
}
