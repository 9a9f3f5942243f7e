//! How often callers may call: the table `[limits]` of the settings, checked and ready to decide with.

use actix_web::http::header::HeaderValue;
use serde::{Deserialize, Serialize, Serializer};

use super::key::Subject;
use crate::gcra::{Micros, Rate};
use crate::policy::RateClass;

const MICROS_PER_SECOND: Micros = 1_000_000;
/// What leases may add to a limit, all replicas together: a tenth of the burst.
const LEASED_SHARE: u32 = 10;
const LONGEST_WINDOW: Micros = 24 * 60 * 60 * MICROS_PER_SECOND;
const MOST_REPLICAS: u32 = 1_000;

/// The table `[limits]` of the settings.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize)]
#[serde(try_from = "Table")]
pub struct LimitSettings {
    /// How many edges share the limits. Each gives its share of them while Redis cannot be asked.
    pub(super) replicas: u32,
    /// For requests of any kind from one address, counted by each edge for itself.
    pub(super) flood: Rule,
    user: Rules,
    token: Rules,
    address: Rules,
}

/// One rule for each class of calls.
#[derive(Clone, PartialEq, Debug, Serialize)]
struct Rules {
    read: Rule,
    write: Rule,
    search: Rule,
    identity: Rule,
    upload: Rule,
}

/// One limit.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    /// As the table has it.
    pub(super) quota: u32,
    pub(super) seconds: u32,
    #[serde(rename = "burst", serialize_with = "burst_of")]
    pub(super) rate: Rate,
    /// How many tokens of a bucket an edge may hold.
    pub(super) most_leased: u32,
    /// What RateLimit-Policy says of it.
    #[serde(skip)]
    pub(super) policy: HeaderValue,
}

impl LimitSettings {
    pub(super) fn rule(&self, subject: Subject, class: RateClass) -> &Rule {
        let rules = match subject {
            Subject::User(_) => &self.user,
            Subject::ApiToken(_) => &self.token,
            Subject::Address(_) => &self.address,
        };
        match class {
            RateClass::Read => &rules.read,
            RateClass::Write => &rules.write,
            RateClass::Search => &rules.search,
            RateClass::Identity => &rules.identity,
            RateClass::Upload => &rules.upload,
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Table::default().try_into().expect("the defaults are within the bounds")
    }
}

/// The table as it is written; what is not said has the default of its limit.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    replicas: Option<u32>,
    flood: Limit,
    user: Limits,
    token: Limits,
    address: Limits,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    read: Limit,
    write: Limit,
    search: Limit,
    identity: Limit,
    upload: Limit,
}

/// `quota` tokens come in `seconds`, and a bucket holds at most `burst`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limit {
    quota: Option<u32>,
    seconds: Option<u32>,
    burst: Option<u32>,
}

impl TryFrom<Table> for LimitSettings {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let replicas = table.replicas.unwrap_or(1);
        if !(1..=MOST_REPLICAS).contains(&replicas) {
            return Err(format!("replicas must be from 1 to {MOST_REPLICAS}"));
        }
        // Tokens a minute and burst. Calls that check a password cost several, so that an address may log in 60 times at
        // once and twice a second after that: people share addresses.
        let rule = |name, limit: &Limit, quota, burst| limit.rule(name, replicas, quota, burst);
        let (user, token, address) = (&table.user, &table.token, &table.address);
        Ok(Self {
            replicas,
            flood: rule("flood", &table.flood, 60_000, 5_000)?,
            user: Rules {
                read: rule("user-read", &user.read, 6_000, 1_000)?,
                write: rule("user-write", &user.write, 3_000, 1_000)?,
                search: rule("user-search", &user.search, 3_000, 500)?,
                identity: rule("user-identity", &user.identity, 600, 300)?,
                upload: rule("user-upload", &user.upload, 60, 30)?,
            },
            // Half of what a user has: several programs of one user share what the services have.
            token: Rules {
                read: rule("token-read", &token.read, 3_000, 500)?,
                write: rule("token-write", &token.write, 1_500, 500)?,
                search: rule("token-search", &token.search, 1_500, 250)?,
                identity: rule("token-identity", &token.identity, 300, 150)?,
                upload: rule("token-upload", &token.upload, 30, 15)?,
            },
            address: Rules {
                read: rule("address-read", &address.read, 3_000, 500)?,
                write: rule("address-write", &address.write, 300, 100)?,
                search: rule("address-search", &address.search, 600, 100)?,
                identity: rule("address-identity", &address.identity, 600, 300)?,
                upload: rule("address-upload", &address.upload, 30, 10)?,
            },
        })
    }
}

impl Limit {
    fn rule(&self, name: &'static str, replicas: u32, quota: u32, burst: u32) -> Result<Rule, String> {
        let quota = self.quota.unwrap_or(quota);
        let seconds = self.seconds.unwrap_or(60);
        let burst = self.burst.unwrap_or(burst);
        if quota == 0 || seconds == 0 || burst == 0 {
            return Err(format!("{name}: quota, seconds and burst must be at least 1"));
        }
        let token = u64::from(seconds) * MICROS_PER_SECOND / u64::from(quota);
        if token == 0 {
            return Err(format!("{name}: more than a million a second is no limit"));
        }
        let rate = Rate { token, burst };
        if rate.window() > LONGEST_WINDOW {
            return Err(format!("{name}: a burst must be there again within a day"));
        }
        let policy = format!("\"{name}\";q={quota};w={seconds}");
        Ok(Rule {
            name,
            quota,
            seconds,
            rate,
            most_leased: burst / LEASED_SHARE / replicas,
            policy: HeaderValue::try_from(policy).expect("names and numbers are ASCII"),
        })
    }
}

fn burst_of<S: Serializer>(rate: &Rate, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(rate.burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LimitSettings, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_the_default_of_its_limit() {
        let settings = parse("replicas = 2\n[user.read]\nburst = 400").unwrap();

        let rule = settings.rule(Subject::User(uuid::Uuid::nil()), RateClass::Read);
        assert_eq!((rule.rate.token, rule.rate.burst, rule.most_leased), (10_000, 400, 20));
        assert_eq!(rule.policy, "\"user-read\";q=6000;w=60");
        let token = settings.rule(Subject::ApiToken(uuid::Uuid::nil()), RateClass::Read);
        assert_eq!(token.policy, "\"token-read\";q=3000;w=60");
        let other = settings.rule(Subject::of_address(None), RateClass::Identity);
        assert_eq!((other.rate.token, other.rate.burst), (100_000, 300));
        assert_eq!(parse("").unwrap(), LimitSettings::default());
    }

    #[test]
    fn a_limit_that_cannot_be_kept_is_told_by_its_name() {
        for (text, told) in [
            ("replicas = 0", "replicas must be from 1"),
            ("[user.write]\nquota = 0", "user-write: quota, seconds and burst"),
            ("[flood]\nquota = 2_000_000\nseconds = 1", "flood: more than a million"),
            (
                "[address.upload]\nquota = 1\nseconds = 86400\nburst = 2",
                "within a day",
            ),
            ("[user.reed]\nburst = 1", "reed"),
            ("[user.read]\nbursts = 1", "bursts"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
