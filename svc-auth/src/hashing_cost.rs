//! What hashing a password costs: Argon2id's parameters, out of those that count as equally strong.

use std::str::FromStr;

use argon2::Params;

const LANES: u32 = 1;
pub(crate) const TAG_BYTES: usize = 32;

/// Memory in KiB and passes, of the OWASP Password Storage Cheat Sheet: less memory takes more passes.
const EQUALLY_STRONG: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

/// Memory in KiB and passes over it, of Argon2id with one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HashingCost {
    memory_kib: u32,
    passes: u32,
}

impl HashingCost {
    pub(crate) const DEFAULT: HashingCost = HashingCost {
        memory_kib: 19_456,
        passes: 2,
    };

    pub(crate) fn params(self) -> Params {
        Params::new(self.memory_kib, self.passes, LANES, Some(TAG_BYTES))
            .expect("the parameters are within Argon2's limits")
    }
}

/// Whether a hash made with these parameters is weaker than each that can be chosen.
pub(crate) fn is_weak(params: &Params) -> bool {
    let is_as_good = |(memory_kib, passes)| params.m_cost() >= memory_kib && params.t_cost() >= passes;
    !EQUALLY_STRONG.into_iter().any(is_as_good)
}

impl FromStr for HashingCost {
    type Err = &'static str;

    /// The parameters as a PHC string has them, such as `m=19456,t=2,p=1`.
    fn from_str(text: &str) -> Result<HashingCost, &'static str> {
        EQUALLY_STRONG
            .into_iter()
            .find(|(memory_kib, passes)| text == format!("m={memory_kib},t={passes},p={LANES}"))
            .map(|(memory_kib, passes)| HashingCost { memory_kib, passes })
            .ok_or("must be m=47104,t=1,p=1 or m=19456,t=2,p=1 or m=12288,t=3,p=1 or m=9216,t=4,p=1 or m=7168,t=5,p=1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decided_cost_is_one_of_those_that_can_be_chosen() {
        assert_eq!("m=19456,t=2,p=1".parse(), Ok(HashingCost::DEFAULT));
        for weak in ["", "m=19456,t=1,p=1", "m=8,t=1,p=1", "m=19456,t=2", "m=19456,t=2,p=1 "] {
            assert!(weak.parse::<HashingCost>().is_err(), "{weak}");
        }
    }

    #[test]
    fn only_what_is_weaker_than_each_of_them_is_replaced() {
        let params = |memory_kib, passes| Params::new(memory_kib, passes, LANES, Some(TAG_BYTES)).unwrap();

        for (memory_kib, passes) in EQUALLY_STRONG.into_iter().chain([(65_536, 3)]) {
            assert!(!is_weak(&params(memory_kib, passes)), "{memory_kib} {passes}");
        }
        for (memory_kib, passes) in [(7_168, 1), (7_168, 4), (19_455, 2), (1_024, 40)] {
            assert!(is_weak(&params(memory_kib, passes)), "{memory_kib} {passes}");
        }
    }
}
