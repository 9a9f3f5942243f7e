//! How far each owner's changes are findable.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;
use uuid::Uuid;

/// Forgetting is harmless: the index is asked then.
const MAX_OWNERS: usize = 16_384;

pub(super) struct Progress {
    reached: Mutex<HashMap<Uuid, i64>>,
    commits: watch::Sender<()>,
}

impl Default for Progress {
    fn default() -> Self {
        Progress {
            reached: Mutex::default(),
            commits: watch::Sender::new(()),
        }
    }
}

impl Progress {
    pub(super) fn of(&self, owner: Uuid) -> Option<i64> {
        self.reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&owner)
            .copied()
    }

    pub(super) fn commits(&self) -> watch::Receiver<()> {
        self.commits.subscribe()
    }

    /// After a commit: every change of the owners up to these is findable.
    pub(super) fn advance(&self, reached: impl IntoIterator<Item = (Uuid, i64)>) {
        let mut known = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        for (owner, version) in reached {
            if known.len() >= MAX_OWNERS && !known.contains_key(&owner) {
                known.clear();
            }
            let newest = known.entry(owner).or_insert(version);
            *newest = version.max(*newest);
        }
        drop(known);
        self.commits.send_replace(());
    }

    /// A new index knows nothing.
    pub(super) fn forget(&self) {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_does_not_go_back() {
        let progress = Progress::default();
        let owner = Uuid::from_u128(1);

        progress.advance([(owner, 5)]);
        progress.advance([(owner, 3)]);

        assert_eq!(progress.of(owner), Some(5));
        assert_eq!(progress.of(Uuid::from_u128(2)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let progress = Progress::default();

        progress.advance((0..40_000).map(|owner| (Uuid::from_u128(owner), 1)));

        assert!(progress.reached.lock().unwrap().len() <= MAX_OWNERS);
    }
}
