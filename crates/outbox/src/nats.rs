//! The connection to NATS.

use std::time::Duration;

use anyhow::Context;
use async_nats::{
    Client, ConnectOptions, Event,
    connection::State,
    jetstream::{self, context::ContextBuilder},
};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const LONGEST_RECONNECT_DELAY: Duration = Duration::from_millis(500);

/// Connects, and connects again for ever. NATS need not be there yet: what needs it waits.
pub async fn connect_nats(url: &str) -> anyhow::Result<Client> {
    ConnectOptions::new()
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(|attempts| {
            let milliseconds = 20 * u64::try_from(attempts).unwrap_or(u64::MAX).min(100);
            Duration::from_millis(milliseconds).min(LONGEST_RECONNECT_DELAY)
        })
        .event_callback(|event| async move { log(&event) })
        .connect(url)
        .await
        .context("connecting to NATS")
}

/// JetStream with a deadline on every request and on every acknowledgement.
pub(crate) fn jetstream(client: Client) -> jetstream::Context {
    ContextBuilder::new()
        .timeout(REQUEST_TIMEOUT)
        .ack_timeout(REQUEST_TIMEOUT)
        .build(client)
}

/// What is published while disconnected would wait in the client and go out late and out of order: callers ask first.
pub(crate) fn is_connected(client: &Client) -> bool {
    client.connection_state() == State::Connected
}

fn log(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to nats"),
        Event::Disconnected => tracing::warn!("disconnected from nats"),
        event => tracing::debug!(%event, "nats client"),
    }
}
