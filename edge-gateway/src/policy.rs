//! What the contract says of each RPC: who may call it, how often, for how long, with how large a body.

use std::time::Duration;

use anyhow::{Context, ensure};
use bookmesh_proto::edge::v1 as proto;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};

use crate::lifecycle::Lifecycle;

const POLICY_OPTION: &str = "bookmesh.edge.v1.policy";
/// For an RPC that does not say, so that nothing runs for ever.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_MAX_BODY_BYTES: u64 = 1024 * 1024;

/// The policy of an RPC that the edge serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Policy {
    pub(crate) access: Access,
    pub(crate) rate_class: RateClass,
    /// How many units of its class a call takes.
    pub(crate) cost: u32,
    pub(crate) timeout: Duration,
    pub(crate) max_body_bytes: u64,
    pub(crate) long_running: bool,
    /// When a second attempt starts beside a first that has not answered.
    pub(crate) hedge_after: Option<Duration>,
    pub(crate) keeping: Option<Keeping>,
    pub(crate) lifecycle: Option<Lifecycle>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    Public,
    User {
        scopes: Vec<String>,
        takes_api_tokens: bool,
    },
}

/// What a call is counted as, and the RPCs that fail and are refused together with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum RateClass {
    Read,
    Write,
    Search,
    Identity,
    Upload,
}

impl RateClass {
    pub(crate) const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Search, Self::Identity, Self::Upload];

    /// Its place in [`RateClass::ALL`].
    pub(crate) fn place(self) -> usize {
        self as usize
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Search => "search",
            Self::Identity => "identity",
            Self::Upload => "upload",
        }
    }

    fn from_proto(class: proto::policy::RateClass) -> Self {
        match class {
            proto::policy::RateClass::Unspecified | proto::policy::RateClass::Read => Self::Read,
            proto::policy::RateClass::Write => Self::Write,
            proto::policy::RateClass::Search => Self::Search,
            proto::policy::RateClass::Identity => Self::Identity,
            proto::policy::RateClass::Upload => Self::Upload,
        }
    }
}

/// How long and for whom an answer is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Keeping {
    pub(crate) sharing: Sharing,
    pub(crate) max_age: Duration,
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) stale_if_error: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sharing {
    Everyone,
    SameUser,
}

impl Policy {
    /// Nothing for an RPC that the edge must not serve: for services only, or without a word on who may call.
    pub(crate) fn of(pool: &DescriptorPool, rpc: &MethodDescriptor) -> anyhow::Result<Option<Self>> {
        let Some(option) = pool.get_extension_by_name(POLICY_OPTION) else {
            return Ok(None);
        };
        let options = rpc.options();
        if !options.has_extension(&option) {
            return Ok(None);
        }
        let value = options.get_extension(&option);
        let message = value
            .as_message()
            .with_context(|| format!("{POLICY_OPTION} is no message"))?;
        let policy: proto::Policy = message
            .transcode_to()
            .with_context(|| format!("reading the policy of {}", rpc.full_name()))?;
        let keeping =
            Keeping::of(&policy).with_context(|| format!("reading the cache policy of {}", rpc.full_name()))?;
        let is_deprecated = is_deprecated(&options);
        let lifecycle = Lifecycle::read(is_deprecated, &policy.deprecated_since, &policy.sunset)
            .with_context(|| format!("reading when {} ends", rpc.full_name()))?;
        Ok(Self::from_proto(policy, keeping, lifecycle))
    }

    fn from_proto(policy: proto::Policy, keeping: Option<Keeping>, lifecycle: Option<Lifecycle>) -> Option<Self> {
        let rate_class = RateClass::from_proto(policy.rate_class());
        let cost = policy.cost.max(1);
        let hedge_after = policy.hedge_after.and_then(|delay| Duration::try_from(delay).ok());
        let access = match policy.auth() {
            proto::policy::Auth::Public => Access::Public,
            proto::policy::Auth::User => Access::User {
                takes_api_tokens: service::identity::takes_api_tokens(&policy),
                scopes: policy.scopes,
            },
            proto::policy::Auth::Service | proto::policy::Auth::Unspecified => return None,
        };
        let timeout = policy.timeout.and_then(|timeout| Duration::try_from(timeout).ok());
        let max_body_bytes = policy.max_body_bytes;
        Some(Self {
            access,
            rate_class,
            cost,
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            max_body_bytes: if max_body_bytes == 0 {
                DEFAULT_MAX_BODY_BYTES
            } else {
                max_body_bytes
            },
            long_running: policy.long_running,
            hedge_after,
            keeping,
            lifecycle,
        })
    }
}

/// Of a method, a field or an enum's value.
pub(crate) fn is_deprecated(options: &DynamicMessage) -> bool {
    let deprecated = options.get_field_by_name("deprecated");
    deprecated.is_some_and(|value| value.as_bool() == Some(true))
}

impl Keeping {
    fn of(policy: &proto::Policy) -> anyhow::Result<Option<Self>> {
        let Some(cache) = &policy.cache else { return Ok(None) };
        let sharing = match cache.scope() {
            proto::policy::cache::Scope::Unspecified => return Ok(None),
            proto::policy::cache::Scope::Everyone => Sharing::Everyone,
            proto::policy::cache::Scope::SameUser => Sharing::SameUser,
        };
        let is_for_users = policy.auth() == proto::policy::Auth::User;
        ensure!(
            sharing == Sharing::Everyone || is_for_users,
            "without a token there is no user to keep answers for"
        );
        ensure!(
            sharing == Sharing::SameUser || !is_for_users,
            "what needs a token is not everyone's"
        );
        let time = |time: &Option<prost_types::Duration>| time.map(Duration::try_from).transpose();
        let stale_if_error = time(&cache.stale_if_error)?.unwrap_or_default();
        ensure!(
            stale_if_error.is_zero() || policy.degrade() == proto::policy::Degrade::Stale,
            "`stale_if_error` needs `degrade: STALE`"
        );
        Ok(Some(Self {
            sharing,
            max_age: time(&cache.max_age)?.unwrap_or_default(),
            stale_while_revalidate: time(&cache.stale_while_revalidate)?.unwrap_or_default(),
            stale_if_error,
        }))
    }
}
