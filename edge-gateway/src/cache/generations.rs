//! What has changed since an answer was fetched: numbers that grow, so that nothing has to be looked for and removed.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// Users that share a number lose each other's answers, no more; 128 KiB of numbers make it rare.
const SLOTS: usize = 1 << 14;

pub(crate) struct Generations {
    hasher: RandomState,
    slots: Box<[AtomicU64]>,
    /// Counts how often the events began and ceased to come: while it is odd, they come.
    feed: AtomicU64,
}

/// The numbers at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Stamp {
    generation: u64,
    feed: u64,
}

/// What became of a user's things since a stamp was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    None,
    /// Events may have been missed.
    Possible,
    Known,
}

impl Generations {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            feed: AtomicU64::new(0),
        }
    }

    /// To be taken before the service is asked.
    pub(crate) fn stamp(&self, user: Uuid, source: &str) -> Stamp {
        Stamp {
            generation: self.slot(user, source).load(Ordering::SeqCst),
            feed: self.feed.load(Ordering::SeqCst),
        }
    }

    pub(crate) fn change_since(&self, stamp: Stamp, user: Uuid, source: &str) -> Change {
        let now = self.stamp(user, source);
        if now.generation != stamp.generation {
            Change::Known
        } else if now.feed != stamp.feed || !is_connected(now.feed) {
            Change::Possible
        } else {
            Change::None
        }
    }

    /// Something of the user's at the source has changed.
    pub(crate) fn advance(&self, user: Uuid, source: &str) {
        self.slot(user, source).fetch_add(1, Ordering::SeqCst);
    }

    /// Events come from now on. Answers from before stay suspect.
    pub(crate) fn connect(&self) {
        self.step_feed(false);
    }

    /// Events may be missed from now on.
    pub(crate) fn disconnect(&self) {
        self.step_feed(true);
    }

    pub(crate) fn is_connected(&self) -> bool {
        is_connected(self.feed.load(Ordering::SeqCst))
    }

    fn step_feed(&self, from_connected: bool) {
        let step = |feed| (is_connected(feed) == from_connected).then_some(feed + 1);
        // When it is in that state already, there is nothing to do.
        let _ = self.feed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step);
    }

    fn slot(&self, user: Uuid, source: &str) -> &AtomicU64 {
        let hash = self.hasher.hash_one((user, source));
        &self.slots[hash as usize % SLOTS]
    }
}

fn is_connected(feed: u64) -> bool {
    feed % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_known_to_its_user_and_source_alone() {
        let generations = Generations::new();
        generations.connect();
        let (ada, grace) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let stamps = [(ada, "books"), (ada, "shelves"), (grace, "books")]
            .map(|(user, source)| (user, source, generations.stamp(user, source)));

        generations.advance(ada, "books");

        let changes = stamps.map(|(user, source, stamp)| generations.change_since(stamp, user, source));
        assert_eq!(changes[0], Change::Known);
        // Two of them share a number once in 8,192 runs, which is no error.
        let is_shared = |user, source| std::ptr::eq(generations.slot(user, source), generations.slot(ada, "books"));
        assert!(changes[1] == Change::None || is_shared(ada, "shelves"));
        assert!(changes[2] == Change::None || is_shared(grace, "books"));
    }

    #[test]
    fn while_no_events_come_and_after_a_gap_anything_may_have_changed() {
        let generations = Generations::new();
        let user = Uuid::from_u128(1);
        let change_since = |stamp| generations.change_since(stamp, user, "books");

        let before = generations.stamp(user, "books");
        assert_eq!(change_since(before), Change::Possible);
        generations.connect();
        assert_eq!(change_since(before), Change::Possible);
        let during = generations.stamp(user, "books");
        generations.connect();
        assert_eq!(change_since(during), Change::None);
        generations.disconnect();
        generations.disconnect();
        assert_eq!(change_since(during), Change::Possible);
        generations.connect();
        assert_eq!(change_since(during), Change::Possible);
    }
}
