//! Who is limited, and in what.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use uuid::Uuid;

use crate::policy::RateClass;

/// Whom a call is counted against. A user's programs count for themselves, so that none of them keeps the user out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Subject {
    User(Uuid),
    ApiToken(Uuid),
    Address(IpAddr),
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Meter {
    /// Requests of any kind, before anything is known of them.
    Flood,
    Calls(RateClass),
}

/// Names a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    pub(super) subject: Subject,
    pub(super) meter: Meter,
}

impl Subject {
    /// A caller without a token. An IPv4 address counts whole; who has one IPv6 address has its whole /64. A peer without
    /// an address, as over a socket file, shares one bucket with its like.
    pub(crate) fn of_address(address: Option<IpAddr>) -> Self {
        Self::Address(match address {
            Some(IpAddr::V4(address)) => IpAddr::V4(address),
            Some(IpAddr::V6(address)) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(network))
            }
            None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        })
    }
}

/// The name of the bucket in Redis.
impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meter = match self.meter {
            Meter::Flood => "flood",
            Meter::Calls(class) => class.name(),
        };
        match self.subject {
            Subject::User(id) => write!(formatter, "limit:user:{id}:{meter}"),
            Subject::ApiToken(id) => write!(formatter, "limit:token:{id}:{meter}"),
            Subject::Address(address) => write!(formatter, "limit:address:{address}:{meter}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Subject {
        Subject::of_address(Some(address.parse().unwrap()))
    }

    #[test]
    fn an_ipv6_network_is_one_caller_and_ipv4_addresses_are_many() {
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn every_bucket_has_a_name_of_its_own() {
        let key = |subject, class| {
            Key {
                subject,
                meter: Meter::Calls(class),
            }
            .to_string()
        };

        assert_eq!(
            key(Subject::User(Uuid::from_u128(7)), RateClass::Read),
            "limit:user:00000000-0000-0000-0000-000000000007:read"
        );
        assert_eq!(
            key(Subject::ApiToken(Uuid::from_u128(7)), RateClass::Read),
            "limit:token:00000000-0000-0000-0000-000000000007:read"
        );
        assert_eq!(
            key(of("2001:db8:1:2::1"), RateClass::Identity),
            "limit:address:2001:db8:1:2:::identity"
        );
    }
}
