//! Lists the slices of a service, then watches them; after a cut it goes on where it was. What was known last stays in
//! force for as long as the API cannot be reached.

use std::sync::Weak;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;

use super::api::{Answer, ApiClient};
use super::lines::Lines;
use super::slices::Slices;
use crate::upstream::address::ServicePort;
use crate::upstream::endpoints::{Endpoints, LONGEST_PAUSE, pause};

const GONE: u64 = 410;

pub(super) struct Watch {
    api: ApiClient,
    of: ServicePort,
    zone: Option<String>,
    endpoints: Weak<Endpoints>,
    slices: Slices,
    /// Up to where the slices are known; nothing before the first list, and when the API has forgotten so old a version.
    version: Option<String>,
    /// Turns in a row that ended soon, and without news.
    failures: u32,
}

#[derive(Deserialize)]
struct Event {
    r#type: EventType,
    object: Value,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum EventType {
    Added,
    Modified,
    Deleted,
    Error,
    /// A bookmark: it tells a version, and of no change.
    #[serde(other)]
    Mark,
}

/// How a watch ended that was no failure.
enum Ended {
    /// As every watch does after a while.
    Cut,
    /// There is a gap that only a new list can close.
    Gone,
}

/// A turn that has held for as long as one waits at most was a good one, however little there was to tell.
fn failures_after(failures: u32, lasted: Duration) -> u32 {
    if lasted >= LONGEST_PAUSE { 1 } else { failures + 1 }
}

impl Watch {
    pub(super) fn new(api: ApiClient, of: ServicePort, zone: Option<&str>, endpoints: Weak<Endpoints>) -> Self {
        Self {
            api,
            of,
            zone: zone.map(str::to_owned),
            endpoints,
            slices: Slices::default(),
            version: None,
            failures: 0,
        }
    }

    /// Until nobody has the endpoints any more.
    pub(super) async fn run(mut self) {
        while self.endpoints.strong_count() > 0 {
            let (began, version_before) = (Instant::now(), self.version.clone());
            match self.turn().await {
                Ok(Ended::Cut) => {}
                Ok(Ended::Gone) => self.version = None,
                Err(error) => tracing::warn!(
                    service = self.of.service,
                    error = format!("{error:#}"),
                    "endpoints cannot be watched, those that are known stay"
                ),
            }
            if self.version == version_before {
                // The API may always fail at this version: it would be asked about it for ever.
                self.version = None;
            }
            self.failures = failures_after(self.failures, began.elapsed());
            tokio::time::sleep(pause(self.failures, rand::random())).await;
        }
    }

    /// One list, when there is need of one, and one watch to its end.
    async fn turn(&mut self) -> anyhow::Result<Ended> {
        let version = match self.version.clone() {
            Some(version) => version,
            None => match self.list().await? {
                Answer::Found(version) => version,
                Answer::Gone => return Ok(Ended::Gone),
            },
        };
        let mut response = match self.api.watch(&self.of, &version).await? {
            Answer::Found(response) => response,
            Answer::Gone => return Ok(Ended::Gone),
        };
        let mut lines = Lines::default();
        while let Some(chunk) = response.chunk().await.context("reading a watch")? {
            lines.push(&chunk)?;
            while let Some(line) = lines.next() {
                if let Some(ended) = self.take(&line)? {
                    return Ok(ended);
                }
            }
            if self.endpoints.strong_count() == 0 {
                break;
            }
        }
        Ok(Ended::Cut)
    }

    /// Replaces everything at once: what is not in the list is gone.
    async fn list(&mut self) -> anyhow::Result<Answer<String>> {
        let mut slices = Slices::default();
        let mut next: Option<String> = None;
        let version = loop {
            let page = match self.api.list(&self.of, next.as_deref()).await? {
                Answer::Found(page) => page,
                Answer::Gone => return Ok(Answer::Gone),
            };
            page.items.into_iter().flatten().for_each(|slice| slices.put(slice));
            next = page.metadata.r#continue.filter(|next| !next.is_empty());
            if next.is_none() {
                break page.metadata.resource_version;
            }
        };
        self.slices = slices;
        self.version = Some(version.clone());
        self.publish();
        Ok(Answer::Found(version))
    }

    fn take(&mut self, line: &[u8]) -> anyhow::Result<Option<Ended>> {
        let Event { r#type, object } = serde_json::from_slice(line).context("reading an event")?;
        let version = object["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        match r#type {
            EventType::Added | EventType::Modified => self.slices.put(serde_json::from_value(object)?),
            EventType::Deleted => self.slices.remove(&serde_json::from_value(object)?),
            EventType::Mark => {}
            EventType::Error if object["code"] == GONE => return Ok(Some(Ended::Gone)),
            EventType::Error => bail!("the watch ends with an error: {}", object["message"]),
        }
        self.version = Some(version.context("an event without a version")?);
        self.failures = 0;
        self.publish();
        Ok(None)
    }

    fn publish(&self) {
        let Some(endpoints) = self.endpoints.upgrade() else {
            return;
        };
        let found = self.slices.found(&self.of.port, self.zone.as_deref());
        let count = found.len();
        if endpoints.replace(found) {
            tracing::info!(
                service = self.of.service,
                endpoints = count,
                "the endpoints of a service have changed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_watch_that_holds_is_no_failure() {
        assert_eq!(failures_after(7, Duration::from_secs(1)), 8);
        assert_eq!(failures_after(7, Duration::from_secs(240)), 1);
    }
}
