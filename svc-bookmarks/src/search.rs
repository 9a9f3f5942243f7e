//! Search: an index beside Postgres that follows the events, and can be lost at any time.

mod clauses;
mod follow;
mod index;
mod look;
mod progress;
mod query;
mod ranking;
mod rebuild;
mod schema;
mod snippet;
mod tokenizer;
mod writer;

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::anyhow;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;
use uuid::Uuid;

pub use self::{
    follow::{Follower, Metrics},
    look::meets,
    query::SearchQuery,
    ranking::Place,
    snippet::{Snippet, snippets},
};
use self::{index::Index, progress::Progress};
use crate::{domain::Order, error::Error};

/// Asking the index again while waiting for a change costs little, and only those who ask do it.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What to show of what was found.
pub struct PageOf {
    /// None is by relevance.
    pub order: Option<Order>,
    pub after: Option<Place>,
    pub size: usize,
}

/// A page of hits.
pub struct Found {
    pub total: usize,
    pub places: Vec<Place>,
}

/// The index as calls see it: whichever is open now.
#[derive(Default)]
pub struct Search {
    open: RwLock<Option<Arc<Index>>>,
    progress: Progress,
    /// Everything that was saved before it was opened, or made again, is in it.
    is_complete: AtomicBool,
    /// Answers that were found without it.
    pub without_index: Counter,
}

impl Search {
    /// Whether it can answer of everything that was saved, the latest changes aside.
    pub fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::SeqCst)
    }

    /// A page of what the owner has that fits the query.
    pub async fn find(&self, owner: Uuid, query: SearchQuery, page: PageOf) -> Result<Found, Error> {
        let index = self.index()?;
        let found = tokio::task::spawn_blocking(move || index.find(owner, &query, page));
        let found = found.await.map_err(|error| Error::Search(error.into()))?;
        found.map_err(|error| Error::Search(error.into()))
    }

    /// Waits until the owner's change `version` is findable.
    pub async fn wait_for(&self, owner: Uuid, version: i64, deadline: Instant) -> Result<(), Error> {
        let mut commits = self.progress.commits();
        while !self.has_reached(owner, version).await? {
            if Instant::now() >= deadline {
                return Err(Error::IndexBehind);
            }
            let again = deadline.min(Instant::now() + ASK_AGAIN);
            // Either a commit has come or it is time to ask anyway.
            let _ = tokio::time::timeout_at(again, commits.changed()).await;
        }
        Ok(())
    }

    /// What is remembered is quick; the index knows more: all that was indexed before this process began.
    async fn has_reached(&self, owner: Uuid, version: i64) -> Result<bool, Error> {
        if self.progress.of(owner).is_some_and(|reached| reached >= version) {
            return Ok(true);
        }
        let Ok(index) = self.index() else { return Ok(false) };
        let reached = tokio::task::spawn_blocking(move || index.has_version(owner, version));
        let reached = reached.await.map_err(|error| Error::Search(error.into()))?;
        reached.map_err(|error| Error::Search(error.into()))
    }

    fn index(&self) -> Result<Arc<Index>, Error> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.clone().ok_or_else(|| Error::Search(anyhow!("no index is open")))
    }

    fn set_complete(&self, is_complete: bool) {
        self.is_complete.store(is_complete, Ordering::SeqCst);
    }

    fn show(&self, index: Arc<Index>) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(index);
    }
}
