//! The two streams. Whoever needs one first makes it; after a loss it is made again.

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::{
    self,
    stream::{Config, Info, RetentionPolicy, StorageType},
};

/// The name of the stream that keeps all events (`evt.>`) for seven days.
pub const EVENTS_STREAM: &str = "EVENTS";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A relay that dies between acknowledgement and mark publishes again: within this time JetStream drops the copy.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(5 * 60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// What happened: kept for everyone who wants to know.
    Events,
    /// What is to be done: each message goes to one worker.
    Jobs,
}

impl Stream {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stream::Events => EVENTS_STREAM,
            Stream::Jobs => "JOBS",
        }
    }

    pub(crate) fn of_subject(subject: &str) -> Stream {
        if subject.starts_with("jobs.") {
            Stream::Jobs
        } else {
            Stream::Events
        }
    }

    fn config(self) -> Config {
        let (subject, retention) = match self {
            Stream::Events => ("evt.>", RetentionPolicy::Limits),
            Stream::Jobs => ("jobs.>", RetentionPolicy::WorkQueue),
        };
        Config {
            name: self.name().to_owned(),
            subjects: vec![subject.to_owned()],
            retention,
            storage: StorageType::File,
            max_age: 7 * DAY,
            duplicate_window: DUPLICATE_WINDOW,
            num_replicas: 1,
            ..Config::default()
        }
    }
}

/// Makes the stream unless it exists, as whoever operates NATS may have made it with more replicas.
pub(crate) async fn ensure(context: &jetstream::Context, stream: Stream) -> anyhow::Result<Info> {
    let name = stream.name();
    let handle = context
        .get_or_create_stream(stream.config())
        .await
        .with_context(|| format!("ensuring the stream {name}"))?;
    Ok(handle.cached_info().clone())
}
