//! The challenge of a log-in that waits for a second factor: its id and user, sealed, so that nobody can make one up. Pure.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use time::Duration;
use uuid::Uuid;

use crate::master_key::MasterKey;

/// How long there is for the second factor.
pub(crate) const CHALLENGE_LIFE: Duration = Duration::minutes(5);
const PURPOSE: &str = "challenge of a log-in";
const CHALLENGE_MAX_BYTES: usize = 200;

/// Names the row that says what was proven. What it is worth, the row alone says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub id: Uuid,
    /// Whose row it is; row-level security asks before the row can be seen.
    pub user_id: Uuid,
}

impl Challenge {
    pub(crate) fn seal(self, master_key: &MasterKey) -> String {
        let ids = [self.id.as_bytes().as_slice(), self.user_id.as_bytes()].concat();
        BASE64_URL_SAFE_NO_PAD.encode(master_key.seal(PURPOSE, &ids))
    }

    /// Nothing for whatever was not sealed here.
    pub(crate) fn open(text: &str, master_key: &MasterKey) -> Option<Challenge> {
        if text.len() > CHALLENGE_MAX_BYTES {
            return None;
        }
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let ids = master_key.open(PURPOSE, &sealed).ok()?;
        let (id, user_id) = ids.split_at_checked(16)?;
        Some(Challenge {
            id: Uuid::from_slice(id).ok()?,
            user_id: Uuid::from_slice(user_id).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    fn master_key(fill: u8) -> MasterKey {
        MasterKey::parse(&BASE64_STANDARD.encode([fill; 32])).unwrap()
    }

    #[test]
    fn a_challenge_opens_with_its_key_alone_and_unchanged() {
        let challenge = Challenge {
            id: Uuid::from_u128(1),
            user_id: Uuid::from_u128(2),
        };

        let text = challenge.seal(&master_key(1));

        assert_eq!(Challenge::open(&text, &master_key(1)), Some(challenge));
        assert_eq!(Challenge::open(&text, &master_key(2)), None);
        let mut changed = text.into_bytes();
        changed[30] ^= 1;
        let changed = String::from_utf8(changed).unwrap();
        for text in [changed.as_str(), "", "%", &"A".repeat(10_000)] {
            assert_eq!(Challenge::open(text, &master_key(1)), None);
        }
    }
}
