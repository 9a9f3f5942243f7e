//! What the contract says of each RPC: who may call it, for how long, with how large a body.

use std::time::Duration;

use anyhow::Context;
use bookmesh_proto::edge::v1 as proto;
use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::resilience::Group;

const POLICY_OPTION: &str = "bookmesh.edge.v1.policy";
/// For an RPC that does not say, so that nothing runs for ever.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_MAX_BODY_BYTES: u64 = 1024 * 1024;

/// The policy of an RPC that the edge serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Policy {
    pub(crate) access: Access,
    pub(crate) timeout: Duration,
    pub(crate) max_body_bytes: u64,
    pub(crate) long_running: bool,
    /// What it fails and is refused together with.
    pub(crate) group: Group,
    /// When a second attempt starts beside a first that has not answered.
    pub(crate) hedge_after: Option<Duration>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    Public,
    User { scopes: Vec<String> },
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
        Ok(Self::from_proto(policy))
    }

    fn from_proto(policy: proto::Policy) -> Option<Self> {
        let group = Group::of(policy.rate_class());
        let hedge_after = policy.hedge_after.and_then(|delay| Duration::try_from(delay).ok());
        let access = match policy.auth() {
            proto::policy::Auth::Public => Access::Public,
            proto::policy::Auth::User => Access::User { scopes: policy.scopes },
            proto::policy::Auth::Service | proto::policy::Auth::Unspecified => return None,
        };
        let timeout = policy.timeout.and_then(|timeout| Duration::try_from(timeout).ok());
        let max_body_bytes = policy.max_body_bytes;
        Some(Self {
            access,
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            max_body_bytes: if max_body_bytes == 0 {
                DEFAULT_MAX_BODY_BYTES
            } else {
                max_body_bytes
            },
            long_running: policy.long_running,
            group,
            hedge_after,
        })
    }
}
