//! Where answers are kept: in memory, up to so many bytes.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cache::kept::Kept;

/// What an entry takes besides its bytes, roughly.
const OVERHEAD_BYTES: usize = 400;

/// The table `[cache]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// How much memory kept answers may take; 0 keeps none.
    pub max_bytes: u64,
    /// A larger answer is not kept.
    pub max_answer_bytes: usize,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            max_bytes: 16 * 1024 * 1024,
            max_answer_bytes: 256 * 1024,
        }
    }
}

/// What makes two reads the same: their route, whose they are, and all that the service is asked.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) route: usize,
    /// Nothing when the answer is everyone's.
    pub(crate) user: Option<Uuid>,
    /// The request's wire bytes: what the caller wrote, without its spelling.
    pub(crate) message: Bytes,
}

type Answers = moka::sync::Cache<Key, Arc<Kept>>;

pub(crate) struct Store(ArcSwap<Limited>);

/// The answers, with the settings that they are kept under.
struct Limited {
    settings: CacheSettings,
    answers: Answers,
}

impl Store {
    pub(crate) fn new(settings: CacheSettings) -> Self {
        Self(ArcSwap::from_pointee(Limited::new(settings)))
    }

    pub(crate) fn find(&self, settings: CacheSettings, key: &Key) -> Option<Arc<Kept>> {
        self.follow(settings);
        self.0.load().answers.get(key)
    }

    /// Whether there was room for it.
    pub(crate) fn keep(&self, settings: CacheSettings, key: &Key, kept: &Arc<Kept>) -> bool {
        self.follow(settings);
        let size = weight(key, kept);
        if kept.content.json.len() > settings.max_answer_bytes || u64::from(size) > settings.max_bytes {
            return false;
        }
        self.0.load().answers.insert(key.clone(), Arc::clone(kept));
        true
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.load().answers.weighted_size()
    }

    /// Settings that have changed empty the store.
    fn follow(&self, settings: CacheSettings) {
        if self.0.load().settings != settings {
            self.0.store(Arc::new(Limited::new(settings)));
        }
    }
}

impl Limited {
    fn new(settings: CacheSettings) -> Self {
        let answers = moka::sync::Cache::builder()
            .max_capacity(settings.max_bytes)
            .weigher(|key, kept: &Arc<Kept>| weight(key, kept))
            .build();
        Self { settings, answers }
    }
}

fn weight(key: &Key, kept: &Kept) -> u32 {
    // Compressed forms come later, and are together about as large as what they are made of.
    let forms = kept.content.forms.as_ref().map_or(0, |_| kept.content.json.len());
    let bytes = key.message.len() + kept.content.json.len() + forms + OVERHEAD_BYTES;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::respond::Content;

    fn key(number: u32) -> Key {
        Key {
            route: 0,
            user: None,
            message: Bytes::copy_from_slice(&number.to_be_bytes()),
        }
    }

    fn kept(bytes: usize) -> Arc<Kept> {
        let content = Content {
            json: vec![b' '; bytes].into(),
            forms: None,
            etag: None,
            next_page_token: None,
        };
        Arc::new(Kept {
            content,
            asked: Instant::now(),
            stamp: None,
        })
    }

    #[test]
    fn it_never_holds_more_bytes_than_it_may() {
        let settings = CacheSettings {
            max_bytes: 100_000,
            max_answer_bytes: 5_000,
        };
        let store = Store::new(settings);

        for number in 0..1_000 {
            assert!(store.keep(settings, &key(number), &kept(1_000)));
        }
        store.0.load().answers.run_pending_tasks();

        assert!((50_000..=100_000).contains(&store.bytes()), "{}", store.bytes());
    }

    #[test]
    fn a_large_answer_is_not_kept_and_new_settings_count_at_once() {
        let settings = CacheSettings::default();
        let store = Store::new(settings);

        assert!(!store.keep(settings, &key(1), &kept(settings.max_answer_bytes + 1)));
        assert!(store.keep(settings, &key(2), &kept(10)));
        assert!(store.find(settings, &key(2)).is_some());
        let off = CacheSettings {
            max_bytes: 0,
            ..settings
        };
        assert!(!store.keep(off, &key(3), &kept(10)));
        assert!(store.find(off, &key(2)).is_none());
    }
}
