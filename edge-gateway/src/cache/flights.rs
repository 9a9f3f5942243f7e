//! Reads that are under way: who asks for the same waits for the one that asked first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::cache::generations::Stamp;
use crate::cache::kept::Kept;
use crate::cache::store::Key;
use crate::problem::Problem;

/// With the stamp: a read that began before a change is none to wait for after it.
type FlightKey = (Key, Option<Stamp>);
type Reads = Arc<Mutex<HashMap<FlightKey, watch::Receiver<Option<Landing>>>>>;

/// So many that workers hardly ever want the same one.
const SHARDS: usize = 64;

/// Each shard is locked for a moment by those whose answer is not kept, who then wait for a service anyway.
pub(crate) struct Flights {
    hasher: RandomState,
    shards: Box<[Reads]>,
}

/// How a read ended, for those who waited for it.
#[derive(Clone)]
pub(crate) enum Landing {
    Answered(Arc<Kept>),
    /// The service cannot answer anyone now.
    Unavailable(Problem),
    /// It ended in a way that is only its caller's: ask for yourself.
    ForItsCallerAlone,
}

pub(crate) enum Flight {
    Lead(Leader),
    Follow(Follower),
}

/// Asks the service. Dropped without landing, because its caller hung up or its time is over, it leaves the lead to another.
pub(crate) struct Leader {
    reads: Reads,
    key: FlightKey,
    sender: watch::Sender<Option<Landing>>,
}

pub(crate) struct Follower(watch::Receiver<Option<Landing>>);

impl Flights {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Reads::default()).collect(),
        }
    }

    pub(crate) fn join(&self, key: Key, stamp: Option<Stamp>) -> Flight {
        let shard = &self.shards[self.hasher.hash_one(&key) as usize % SHARDS];
        let mut reads = shard.lock().unwrap_or_else(PoisonError::into_inner);
        match reads.entry((key, stamp)) {
            Entry::Occupied(read) => Flight::Follow(Follower(read.get().clone())),
            Entry::Vacant(place) => {
                let (sender, receiver) = watch::channel(None);
                let key = place.key().clone();
                place.insert(receiver);
                Flight::Lead(Leader {
                    reads: Arc::clone(shard),
                    key,
                    sender,
                })
            }
        }
    }
}

impl Leader {
    /// Tells all who wait. What is to be kept must be kept before: a caller who comes now looks there first.
    pub(crate) fn land(self, landing: Landing) {
        self.sender.send_replace(Some(landing));
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.remove(&self.key);
    }
}

impl Follower {
    /// Nothing when the leader was dropped.
    pub(crate) async fn landing(mut self) -> Option<Landing> {
        let landed = self.0.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}
