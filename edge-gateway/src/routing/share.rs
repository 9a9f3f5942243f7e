//! Which callers belong to a share. A caller is in or out for good, at every edge, until the share itself changes.

use std::net::IpAddr;

use uuid::Uuid;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
/// Shares are taken to a hundredth of a percent.
const BUCKETS: u64 = 10_000;

/// A part of all callers. A greater share of the same name has everybody that a smaller one has.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Share {
    /// Two rules take different callers.
    seed: u64,
    buckets: u64,
}

/// Who sent a call, as well as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Caller {
    pub(crate) user: Option<Uuid>,
    pub(crate) address: Option<IpAddr>,
}

impl Share {
    /// Nothing when it is no percentage.
    pub(crate) fn new(name: &str, percent: f64) -> Option<Self> {
        let is_percentage = (0.0..=100.0).contains(&percent);
        is_percentage.then(|| Self {
            seed: fnv(FNV_OFFSET, name.as_bytes()),
            buckets: (percent * 100.0).round() as u64,
        })
    }

    pub(crate) fn has(&self, caller: Caller) -> bool {
        if self.buckets == BUCKETS {
            return true;
        }
        let hash = match (caller.user, caller.address) {
            (Some(user), _) => fnv(self.seed, user.as_bytes()),
            (None, Some(IpAddr::V4(address))) => fnv(self.seed, &address.octets()),
            (None, Some(IpAddr::V6(address))) => fnv(self.seed, &address.octets()[..8]),
            (None, None) => return false,
        };
        mixed(hash) % BUCKETS < self.buckets
    }

    /// Whether chance takes a call.
    pub(crate) fn takes(&self, random: u64) -> bool {
        random % BUCKETS < self.buckets
    }
}

/// FNV-1a: the same in every build of the edge, which the hashes of the standard library do not promise.
fn fnv(seed: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// Spreads what FNV leaves in the high bits over all of them (the finisher of murmur3).
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn user(number: u128) -> Caller {
        Caller {
            user: Some(Uuid::from_u128(number)),
            address: None,
        }
    }

    fn address(text: &str) -> Caller {
        Caller {
            user: None,
            address: Some(text.parse().unwrap()),
        }
    }

    #[test]
    fn a_share_has_about_its_part_of_the_callers_and_two_shares_have_different_ones() {
        let (canary, other) = (Share::new("canary", 10.0).unwrap(), Share::new("other", 10.0).unwrap());
        let count = |has: &dyn Fn(Caller) -> bool| (0..10_000).filter(|number| has(user(*number))).count();

        assert!((900..1100).contains(&count(&|caller| canary.has(caller))));
        assert!((50..200).contains(&count(&|caller| canary.has(caller) && other.has(caller))));
    }

    #[test]
    fn none_and_all_are_exact_and_what_is_no_percentage_is_refused() {
        let (none, all) = (Share::new("a", 0.0).unwrap(), Share::new("a", 100.0).unwrap());

        assert!((0..1000).all(|number| !none.has(user(number)) && all.has(user(number))));
        for percent in [-0.1, 100.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::new("a", percent), None);
        }
    }

    #[test]
    fn the_user_counts_before_the_address_and_a_network_of_ipv6_is_one_caller() {
        let half = Share::new("a", 50.0).unwrap();

        for number in 0..100 {
            let of_user = half.has(user(number));
            for text in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
                let user = user(number).user;
                let Caller { address, .. } = address(text);
                assert_eq!(half.has(Caller { user, address }), of_user);
            }
        }
        assert_eq!(
            half.has(address("2001:db8:1:2::3")),
            half.has(address("2001:db8:1:2:ffff::"))
        );
    }

    proptest! {
        #[test]
        fn a_greater_share_keeps_everybody(number: u128, percent in 0.0_f64..100.0, more in 0.0_f64..100.0) {
            let (small, great) = (percent.min(more), percent.max(more));
            let in_small = Share::new("a", small).unwrap().has(user(number));
            let in_great = Share::new("a", great).unwrap().has(user(number));

            prop_assert!(!in_small || in_great);
        }
    }
}
