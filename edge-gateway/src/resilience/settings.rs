//! What an operator may say of overload.

use serde::{Deserialize, Serialize};

use crate::policy::RateClass;

/// The table `[overload]` of the settings. Numbers are for the whole process; each worker has its part of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct OverloadSettings {
    /// Whether anything is refused for overload.
    pub enabled: bool,
    /// How many requests the edge works on at once.
    pub maximum_requests: u32,
    /// How many calls an upstream gets at once, before anything is known of it.
    pub initial_calls: u32,
    /// However slow it is.
    pub minimum_calls: u32,
    /// However fast it is.
    pub maximum_calls: u32,
    /// Calls that take longer than so much of a hundred of the usual wait in the service: it gets fewer at once.
    pub tolerance_percent: u32,
    /// Calls that take no longer than this on average are never a sign of overload.
    pub calm_ms: u64,
    /// So many of a hundred places uploads may have; the first to be refused.
    pub upload_percent: u32,
    /// So many of a hundred places for uploads one caller may have; one at least.
    pub upload_caller_percent: u32,
    /// The share of searches.
    pub search_percent: u32,
    /// The share of writes.
    pub write_percent: u32,
    /// The share of reads.
    pub read_percent: u32,
    /// The share of what checks passwords and tokens; the last to be refused.
    pub identity_percent: u32,
}

impl Default for OverloadSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            maximum_requests: 8_192,
            initial_calls: 512,
            minimum_calls: 32,
            maximum_calls: 4_096,
            tolerance_percent: 200,
            calm_ms: 25,
            upload_percent: 50,
            upload_caller_percent: 25,
            search_percent: 70,
            write_percent: 80,
            read_percent: 90,
            identity_percent: 100,
        }
    }
}

impl OverloadSettings {
    /// So many of a hundred places a group may have.
    pub(super) fn share(&self, group: RateClass) -> u32 {
        match group {
            RateClass::Upload => self.upload_percent,
            RateClass::Search => self.search_percent,
            RateClass::Write => self.write_percent,
            RateClass::Read => self.read_percent,
            RateClass::Identity => self.identity_percent,
        }
    }

    /// How many of so many places for uploads one caller may have.
    pub(super) fn caller_share(&self, places: u32) -> u32 {
        let share = u64::from(places) * u64::from(self.upload_caller_percent) / 100;
        u32::try_from(share.max(1)).unwrap_or(u32::MAX)
    }
}
