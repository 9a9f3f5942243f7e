//! The buckets that this edge knows, of all its workers together.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::bucket::Bucket;
use super::key::Key;
use crate::gcra::Micros;

/// So many that two workers hardly ever want the same one at once, other than for the same caller.
const SHARDS: usize = 64;
/// All full, they take some 10 MiB.
const MOST_IN_SHARD: usize = 1_024;

type Shard = HashMap<Key, Bucket>;

/// One lock for each shard, held for some tens of nanoseconds and never over an await.
pub(super) struct Buckets {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Buckets {
    /// Works on a bucket; one that is not known is full.
    pub(super) fn with<R>(&self, key: Key, now: Micros, work: impl FnOnce(&mut Bucket) -> R) -> R {
        let mut shard = self.shard(&key);
        if shard.len() >= MOST_IN_SHARD && !shard.contains_key(&key) {
            make_room(&mut shard, now);
        }
        work(shard.entry(key).or_default())
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let place = self.hasher.hash_one(key) as usize % SHARDS;
        // A panic of another holder leaves a bucket that is right but for one call.
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what is full by now. When callers come from so many addresses at once that this is not enough, every other bucket
/// goes: with Redis that costs a round trip, without it a caller may begin anew.
fn make_room(shard: &mut Shard, now: Micros) {
    shard.retain(|_, bucket| !bucket.is_idle(now));
    if shard.len() > MOST_IN_SHARD / 2 {
        let mut is_kept = false;
        shard.retain(|_, _| {
            is_kept = !is_kept;
            is_kept
        });
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::bucket::Decision;
    use super::super::key::{Meter, Subject};
    use super::*;
    use crate::gcra::Rate;

    const RATE: Rate = Rate { token: 1_000, burst: 1 };

    fn is_allowed(buckets: &Buckets, caller: u128, now: Micros) -> bool {
        let key = Key {
            subject: Subject::User(Uuid::from_u128(caller)),
            meter: Meter::Flood,
        };
        buckets.with(key, now, |bucket| bucket.decide_alone(RATE, 1, 1, now)) == Decision::Allowed
    }

    fn known(buckets: &Buckets) -> usize {
        buckets.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn every_caller_has_a_bucket_of_its_own() {
        let buckets = Buckets::default();

        assert!(is_allowed(&buckets, 1, 0));
        assert!(is_allowed(&buckets, 2, 0));
        assert!(!is_allowed(&buckets, 1, 999));
        assert!(is_allowed(&buckets, 1, 1_000));
    }

    #[test]
    fn full_buckets_are_forgotten_before_others() {
        let buckets = Buckets::default();
        for caller in 0..40_000 {
            is_allowed(&buckets, caller, 0);
        }
        for caller in 40_000..80_000 {
            is_allowed(&buckets, caller, 1_000);
        }

        assert!((40_000..80_000).all(|caller| !is_allowed(&buckets, caller, 1_000)));
    }

    #[test]
    fn however_many_callers_come_only_so_many_are_remembered() {
        let buckets = Buckets::default();
        for caller in 0..400_000 {
            is_allowed(&buckets, caller, 0);
        }

        assert!(known(&buckets) <= SHARDS * MOST_IN_SHARD);
        assert!(known(&buckets) >= SHARDS * MOST_IN_SHARD / 4);
    }
}
