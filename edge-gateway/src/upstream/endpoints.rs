//! The endpoints of one address, as all workers see them: which there are, which are near, which cannot be reached.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// So that an address that swallows packets is left within a second, too.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Where there is no other, giving up early wins nothing.
pub(crate) const ONLY_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// One connection may break for reasons of its own; so many in a row, without an answer between them, do not.
const BROKEN_IN_A_ROW: u32 = 3;

/// What can change while the edge runs; none at first.
#[derive(Default)]
pub(crate) struct Endpoints {
    table: ArcSwap<Vec<Arc<Endpoint>>>,
    /// The addresses were given and will never change.
    is_fixed: bool,
}

/// One process of a service.
pub(crate) struct Endpoint {
    /// Such as `http://10.1.2.3:50051`.
    pub(crate) address: String,
    /// It is in the edge's own zone, or there is nothing known of zones.
    pub(crate) is_near: bool,
    is_down: AtomicBool,
    /// Calls that failed in a row because of the connection.
    failures: AtomicU32,
    is_watched: AtomicBool,
}

/// An endpoint that a source of addresses has found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct FoundEndpoint {
    pub(crate) address: String,
    pub(crate) is_near: bool,
}

impl Endpoints {
    pub(crate) fn fixed(addresses: &[String]) -> Self {
        let endpoints = Self::default();
        endpoints.replace(addresses.iter().map(|address| FoundEndpoint {
            address: address.clone(),
            is_near: true,
        }));
        Self {
            is_fixed: true,
            ..endpoints
        }
    }

    pub(crate) fn table(&self) -> Guard<Arc<Vec<Arc<Endpoint>>>> {
        self.table.load()
    }

    /// The only endpoint that there will ever be.
    pub(crate) fn only(&self) -> Option<Arc<Endpoint>> {
        match self.table.load().as_slice() {
            [only] if self.is_fixed => Some(Arc::clone(only)),
            _ => None,
        }
    }

    /// Endpoints that stay keep their connections and what is known of them. Whether anything has changed.
    pub(crate) fn replace(&self, found: impl IntoIterator<Item = FoundEndpoint>) -> bool {
        let old = self.table.load_full();
        let mut found: Vec<FoundEndpoint> = found.into_iter().collect();
        found.sort();
        let is_same = |endpoint: &Arc<Endpoint>, found: &FoundEndpoint| {
            endpoint.address == found.address && endpoint.is_near == found.is_near
        };
        let pairs = || old.iter().zip(&found);
        if old.len() == found.len() && pairs().all(|(endpoint, found)| is_same(endpoint, found)) {
            return false;
        }
        let new = found.into_iter().map(|found| {
            let known = old.iter().find(|endpoint| is_same(endpoint, &found));
            known.cloned().unwrap_or_else(|| Arc::new(Endpoint::new(found)))
        });
        self.table.store(Arc::new(new.collect()));
        true
    }
}

impl Endpoint {
    fn new(found: FoundEndpoint) -> Self {
        Self {
            address: found.address,
            is_near: found.is_near,
            is_down: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            is_watched: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    /// It has answered a call.
    pub(crate) fn answered(&self) {
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// No connection came about. It gets no call until one does.
    pub(crate) fn unreachable(self: &Arc<Self>) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.leave();
        self.watch();
    }

    /// A connection broke under a call: a look will tell whether there is still somebody.
    pub(crate) fn broken(self: &Arc<Self>) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= BROKEN_IN_A_ROW {
            self.leave();
        }
        self.watch();
    }

    fn leave(&self) {
        if !self.is_down.swap(true, Ordering::Relaxed) {
            tracing::warn!(endpoint = self.address, "an endpoint cannot be reached and is left out");
        }
    }

    fn come_back(&self) {
        self.is_watched.store(false, Ordering::Relaxed);
        if self.is_down.swap(false, Ordering::Relaxed) {
            tracing::info!(endpoint = self.address, "an endpoint can be reached again");
        }
    }

    /// One task looks for all workers, so that no caller's call has to.
    fn watch(self: &Arc<Self>) {
        if !self.is_watched.swap(true, Ordering::Relaxed) {
            tokio::spawn(come_back_when_reachable(Arc::downgrade(self)));
        }
    }
}

/// Ends with the endpoint, too: one that was taken out of the table is looked for no more.
async fn come_back_when_reachable(endpoint: Weak<Endpoint>) {
    let mut attempts = 0;
    while let Some(endpoint) = endpoint.upgrade() {
        if endpoint.is_down() || attempts > 0 {
            let failures = endpoint.failures.load(Ordering::Relaxed);
            sleep(pause(failures.max(attempts), rand::random())).await;
        }
        if is_reachable(&endpoint.address).await {
            endpoint.come_back();
            return;
        }
        endpoint.leave();
        attempts += 1;
    }
}

async fn is_reachable(address: &str) -> bool {
    let uri: Option<http::Uri> = address.parse().ok();
    let host_and_port = uri
        .as_ref()
        .and_then(|uri| Some((uri.host()?.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80))));
    let Some(host_and_port) = host_and_port else {
        return false;
    };
    matches!(
        timeout(CONNECT_TIMEOUT, TcpStream::connect(host_and_port)).await,
        Ok(Ok(_))
    )
}

/// Twice as long after each failure, and never the same for two edges.
pub(super) fn pause(failures: u32, random: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE).mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: &str) -> FoundEndpoint {
        FoundEndpoint {
            address: address.to_owned(),
            is_near: true,
        }
    }

    #[test]
    fn endpoints_that_stay_are_the_same_ones_and_no_change_is_none() {
        let endpoints = Endpoints::default();
        assert!(endpoints.replace([found("http://b:1"), found("http://a:1")]));
        let before = endpoints.table().clone();

        assert!(!endpoints.replace([found("http://a:1"), found("http://b:1")]));
        assert!(endpoints.replace([found("http://b:1"), found("http://c:1")]));

        let after = endpoints.table().clone();
        assert!(Arc::ptr_eq(&before[1], &after[0]));
        assert_eq!(after[1].address, "http://c:1");
    }

    #[test]
    fn only_one_address_that_never_changes_is_the_only_one() {
        let one = ["http://a:1".to_owned()];
        let changing = Endpoints::default();
        changing.replace([found("http://a:1")]);

        assert!(Endpoints::fixed(&one).only().is_some());
        assert!(changing.only().is_none());
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!(pause(1, 1.0), FIRST_PAUSE);
        assert_eq!(pause(2, 0.0), FIRST_PAUSE);
        assert_eq!(pause(3, 1.0), FIRST_PAUSE * 4);
        assert_eq!(pause(u32::MAX, 1.0), LONGEST_PAUSE);
    }
}
