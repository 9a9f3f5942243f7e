//! Throttling of guesses: who has failed too often waits, first a second, then twice as long each time. Nobody waits inside a
//! call, and nobody is locked out for good.
//!
//! Whatever a caller could guess goes through [`Attempts::begin`] before anything is compared or hashed:
//!
//! ```text
//! let counted = match auth.attempts.begin(attempt, now).await { .. };  // refused: nothing else happens
//! match compare(..).await {
//!     right => auth.attempts.succeed(counted, now).await,      // once everything is committed
//!     wrong => {}                                              // it was counted before
//!     could not be compared => auth.attempts.withdraw(counted, now).await,
//! }
//! ```
//!
//! `grpc/throttle.rs` has both halves of that: `refuse` makes the answer and the note in the audit log, `settle` tells the three ends
//! apart by the error, for which a new kind of wrong guess is added to `Error::is_wrong_guess`.
//!
//! An attempt counts as failed from its beginning, so that fifty at once do not all get in before the first has failed, and one
//! whose caller hangs up has still been made. A new thing to guess is a new [`Kind`] with its rules; kinds do not share counts.
//!
//! What is counted: an attempt at an account from a device that has logged in to it before counts for account and device, and
//! nothing else matters to it: an attack from elsewhere does not keep its owner out. Any other attempt counts for the account,
//! all unknown devices together, and for the network that it comes from. A success clears the account's count of that device, or of
//! the unknown ones; it does not clear the network's, which it gives back one.
//!
//! Counts are in Redis, for all processes. Each process keeps what it has heard in a [`twin`], answers refusals that still hold
//! from there, and goes on alone when Redis does not answer: half as much is free then. When Redis was emptied, a wait that has
//! begun still holds in the processes that know of it, and then counting begins anew.

mod rule;
mod shared;
mod twin;

use std::{net::IpAddr, sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use service::metrics::Metrics;
use time::OffsetDateTime;
use uuid::Uuid;

use self::{
    rule::{Millis, Rule},
    shared::Shared,
    twin::Twin,
};
use crate::{master_key::MasterKey, redis_link::RedisLink};

const MINUTE: Millis = 60_000;

/// What is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The password of an account, by somebody who is not logged in. The account is the key of an e-mail address, whether
    /// there is such an account or not.
    LogIn,
    /// The password of an account, by somebody who has an access token of it. The account is the user's id, the device the
    /// session: who has found a token does not keep the user out.
    CurrentPassword,
    /// Which addresses have an account, by asking for mails that set a new password. Each one counts, whatever came of it, and for the
    /// network alone: how many mails an address gets is counted with the mails.
    Reset,
}

/// A guess that is about to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub kind: Kind,
    /// Whatever names the account that is tried. Nobody is told whether there is one. `None` counts for the network alone.
    pub account: Option<&'a str>,
    /// A device that has shown to be this account's.
    pub device: Option<Uuid>,
    pub address: Option<IpAddr>,
}

/// An attempt that has been counted as failed, until it is said that it was not.
#[must_use = "an attempt that did not fail is to be taken back"]
pub(crate) struct Counted {
    guards: Vec<Guard>,
    /// For each guard, which failure it was.
    failures: Vec<u32>,
}

/// An attempt that must not be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// In whole seconds, so that answers do not tell of the clock.
    pub retry_after: Duration,
    /// Whether this process has not refused anything for this reason before: worth a note in the audit log. Of all that follow
    /// until an attempt is let through, none is, so an attack does not flood the log.
    pub is_first: bool,
}

/// Says which attempts may be made.
pub(crate) struct Attempts {
    shared: Shared,
    twin: Twin,
    names: hmac::Key,
    refused: Family<KindLabels, Counter>,
    alone: Counter,
}

/// One thing that an attempt is counted for.
#[derive(Debug, Clone, Copy)]
struct Guard {
    key: Key,
    rule: Rule,
}

/// Names a count. Nothing can be learned from it of the account or the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    scope: Scope,
    name: [u8; 16],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    Account,
    Device,
    Network,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

impl Attempts {
    pub(crate) fn new(redis: Arc<RedisLink>, master_key: &MasterKey, metrics: &Metrics) -> Attempts {
        let attempts = Attempts {
            shared: Shared::new(redis),
            twin: Twin::default(),
            names: master_key.hmac_key("name attempts"),
            refused: Family::default(),
            alone: Counter::default(),
        };
        metrics.register(
            "auth_attempts_refused",
            "Attempts that were refused because of too many before",
            attempts.refused.clone(),
        );
        metrics.register(
            "auth_attempts_alone",
            "Attempts that were counted without Redis, by this process alone and more strictly",
            attempts.alone.clone(),
        );
        attempts
    }

    /// Counts an attempt, or says that it must not be made.
    pub(crate) async fn begin(&self, attempt: Attempt<'_>, now: OffsetDateTime) -> Result<Counted, Refused> {
        let now = millis(now);
        let guards = self.guards(attempt);
        let known_wait = self.twin.wait(&guards, now);
        if known_wait > 0 {
            return Err(self.refuse(&guards, known_wait, now));
        }
        let (wait, failures) = match self.shared.take(&guards, now).await {
            Some(taken) => {
                self.twin.learn(&guards, &taken.standings, now);
                (taken.wait, taken.failures())
            }
            None => {
                self.alone.inc();
                self.twin.take_alone(&guards, now)
            }
        };
        if wait > 0 {
            return Err(self.refuse(&guards, wait, now));
        }
        Ok(Counted { guards, failures })
    }

    /// Says that an attempt has succeeded.
    pub(crate) async fn succeed(&self, counted: Counted, now: OffsetDateTime) {
        let Counted { guards, failures } = counted;
        self.twin.succeed(&guards);
        self.shared.succeed(&guards, &failures, millis(now)).await;
    }

    /// Says that an attempt has not been made after all, because nobody had the time to compare anything.
    pub(crate) async fn withdraw(&self, counted: Counted, now: OffsetDateTime) {
        let Counted { guards, failures } = counted;
        self.twin.withdraw(&guards, &failures);
        self.shared.withdraw(&guards, &failures, millis(now)).await;
    }

    fn refuse(&self, guards: &[Guard], wait: Millis, now: Millis) -> Refused {
        if let Some(guard) = guards.first() {
            let kind = guard.key.kind.name();
            self.refused.get_or_create(&KindLabels { kind }).inc();
        }
        Refused {
            retry_after: Duration::from_secs(wait.div_ceil(1_000)),
            is_first: self.twin.tell(guards, now),
        }
    }

    fn guards(&self, attempt: Attempt<'_>) -> Vec<Guard> {
        let (ladder, allowance) = attempt.kind.rules();
        let guard = |scope, rule, parts: &[&[u8]]| Guard {
            key: self.key(attempt.kind, scope, parts),
            rule,
        };
        let network = network(attempt.address);
        let network = guard(Scope::Network, allowance, &[&network]);
        match (attempt.account, attempt.device) {
            (Some(account), Some(device)) => {
                vec![guard(Scope::Device, ladder, &[account.as_bytes(), device.as_bytes()])]
            }
            (Some(account), None) => vec![guard(Scope::Account, ladder, &[account.as_bytes()]), network],
            (None, _) => vec![network],
        }
    }

    fn key(&self, kind: Kind, scope: Scope, parts: &[&[u8]]) -> Key {
        let mut named = hmac::Context::with_key(&self.names);
        for part in [kind.name().as_bytes(), scope.name().as_bytes()].iter().chain(parts) {
            // The length too, so that no two lists of parts are one.
            named.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            named.update(part);
        }
        let mut name = [0; 16];
        name.copy_from_slice(&named.sign().as_ref()[..16]);
        Key { kind, scope, name }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::LogIn => "log_in",
            Kind::CurrentPassword => "current_password",
            Kind::Reset => "reset",
        }
    }

    /// Of account or device, and of a network. A day of guessing at the longest wait is not a hundred guesses. A network may be
    /// many people's, so it gets a hundred failures at once and twenty a minute.
    fn rules(self) -> (Rule, Rule) {
        match self {
            Kind::LogIn | Kind::CurrentPassword | Kind::Reset => (
                Rule::Ladder {
                    free: 5,
                    longest: 15 * MINUTE,
                    forgotten_after: 24 * 60 * MINUTE,
                },
                Rule::Allowance {
                    burst: 100,
                    every: MINUTE / 20,
                },
            ),
        }
    }
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Scope::Account => "account",
            Scope::Device => "device",
            Scope::Network => "network",
        }
    }
}

/// What one customer of a provider has: a /64 of IPv6, and of IPv4 a /24, where neighbours are often the same people.
fn network(address: Option<IpAddr>) -> Vec<u8> {
    match address {
        Some(IpAddr::V4(address)) => address.octets()[..3].to_vec(),
        Some(IpAddr::V6(address)) => address.octets()[..8].to_vec(),
        None => Vec::new(),
    }
}

fn millis(now: OffsetDateTime) -> Millis {
    u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests;
