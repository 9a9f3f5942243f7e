//! Which calls may be sent a second time, as the contract says it.

use std::time::Duration;

use anyhow::ensure;
use prost_reflect::MethodDescriptor;
use prost_reflect::prost_types::method_options::IdempotencyLevel;
use transcode::peek;

use crate::endpoint::RequestEtag;

/// What the contract says of sending a call of one RPC twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Repeat {
    /// Nobody but the caller can tell whether a call was sent, or how often.
    pub(crate) has_no_side_effects: bool,
    is_idempotent: bool,
    /// The number of the request's `request_id` (AIP-155): the service knows by it what it has done already.
    request_id: Option<u32>,
    /// When a second attempt starts beside a first that has not answered.
    pub(super) hedge_after: Option<Duration>,
}

impl Repeat {
    /// `hedge_after` comes from the policy, `request_id` is the number of that field.
    pub(crate) fn of(
        rpc: &MethodDescriptor,
        hedge_after: Option<Duration>,
        request_id: Option<u32>,
    ) -> anyhow::Result<Self> {
        let options = rpc.method_descriptor_proto().options.clone().unwrap_or_default();
        let level = options.idempotency_level();
        let has_no_side_effects = level == IdempotencyLevel::NoSideEffects;
        ensure!(
            hedge_after.is_none() || (has_no_side_effects && !rpc.is_server_streaming()),
            "hedge_after needs a single answer and idempotency_level NO_SIDE_EFFECTS"
        );
        Ok(Self {
            has_no_side_effects,
            is_idempotent: match level {
                IdempotencyLevel::NoSideEffects | IdempotencyLevel::Idempotent => true,
                IdempotencyLevel::IdempotencyUnknown => false,
            },
            request_id,
            hedge_after,
        })
    }

    /// Whether the service may get this message once more when it may have worked on it before. A message that names the
    /// etag it must find is not harmless: the first attempt may have changed it, and the second would be told of a conflict.
    pub(super) fn is_harmless(self, etag: Option<RequestEtag>, message: &[u8]) -> bool {
        let has_text = |wire, number| peek::last_bytes(wire, number).is_some_and(|text| !text.is_empty());
        if self.request_id.is_some_and(|number| has_text(message, number)) {
            return true;
        }
        let names_etag = etag.is_some_and(|place| match place.resource {
            Some(resource) => {
                peek::last_bytes(message, resource).is_some_and(|resource| has_text(resource, place.etag))
            }
            None => has_text(message, place.etag),
        });
        self.is_idempotent && !names_etag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: RequestEtag = RequestEtag {
        resource: Some(1),
        etag: 3,
    };

    fn rules(is_idempotent: bool) -> Repeat {
        Repeat {
            has_no_side_effects: false,
            is_idempotent,
            request_id: Some(2),
            hedge_after: None,
        }
    }

    #[test]
    fn what_is_idempotent_or_has_a_request_id_is_harmless() {
        let mut with_request_id = Vec::new();
        peek::push_field(&mut with_request_id, 2, b"01a2");

        assert!(rules(true).is_harmless(None, &[]));
        assert!(!rules(false).is_harmless(None, &[]));
        assert!(rules(false).is_harmless(None, &with_request_id));
    }

    #[test]
    fn a_change_that_depends_on_an_etag_is_not() {
        let mut message = Vec::new();
        peek::push_message(&mut message, 1, |resource| peek::push_field(resource, 3, b"v1"));

        assert!(!rules(true).is_harmless(Some(ETAG), &message));
        assert!(rules(true).is_harmless(Some(ETAG), &[]));
    }
}
