//! The sessions that ended a short while ago: their access tokens are still within their five minutes, and must not count.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Access tokens live five minutes, and clocks differ; an older end cannot matter.
pub(super) const KEPT: Duration = Duration::minutes(6);

/// A set that all clones share.
#[derive(Clone, Default)]
pub struct EndedSessions(Arc<RwLock<HashMap<Uuid, OffsetDateTime>>>);

impl EndedSessions {
    /// Notes that these sessions have ended, and forgets those that ended long before `now`.
    pub fn add(&self, sessions: impl IntoIterator<Item = Uuid>, now: OffsetDateTime) {
        let mut ended = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        ended.retain(|_, noted| now - *noted < KEPT);
        for session in sessions {
            ended.entry(session).or_insert(now);
        }
    }

    /// Whether the session is known to have ended.
    pub fn contains(&self, session: Uuid) -> bool {
        self.0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .contains_key(&session)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_session_counts_as_ended_until_its_last_token_has_expired() {
        let ended = EndedSessions::default();
        let noon = datetime!(2026-11-23 12:00 UTC);
        let session = Uuid::from_u128(1);

        ended.add([session], noon);
        assert!(ended.contains(session));
        assert!(!ended.contains(Uuid::from_u128(2)));

        ended.add([], noon + Duration::seconds(359));
        assert!(ended.contains(session));

        ended.add([], noon + Duration::minutes(6));
        assert!(!ended.contains(session));
    }
}
