//! API tokens: what one may be made with, and what the secret in it is kept as. Pure but for the secret's randomness.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    constant_time,
    digest::{SHA256, digest},
};
use service::{
    identity::{
        API_TOKEN_ID_CHARACTERS, API_TOKEN_SECRET_CHARACTERS, ApiToken, api_token_prefix, is_api_token_scope,
        is_environment,
    },
    status::Violation,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{password::random_bytes, registration::token_name_rule, role::Role};

/// One for each program of a busy person. Every process that a token is used at looks it up once a minute and counts its calls
/// apart, so this bounds what one user can cost.
pub(crate) const API_TOKENS_MAX: i64 = 50;
/// The same day next year, whether or not there is a 29 February in between.
const LIFE_MAX: Duration = Duration::days(366);

/// What the tokens of this installation name, so that those of a test are told from real ones.
#[derive(Debug, Clone)]
pub(crate) struct TokenEnvironment(String);

/// A checked request for a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub name: String,
    /// In order, each once.
    pub scopes: Vec<String>,
    pub expires_at: OffsetDateTime,
}

/// An API token as its user sees it.
#[derive(Debug, Clone)]
pub(crate) struct ApiTokenRow {
    pub id: Uuid,
    pub user_id: Uuid,
    pub lookup_id: String,
    pub environment: String,
    pub name: String,
    pub scopes: Vec<String>,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub last_used_at: Option<OffsetDateTime>,
}

/// A new token's id and secret.
pub(crate) struct NewSecret {
    pub lookup_id: String,
    secret: String,
}

impl TokenEnvironment {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whoever says nothing gets tokens that scanners take seriously.
impl Default for TokenEnvironment {
    fn default() -> TokenEnvironment {
        TokenEnvironment("live".to_owned())
    }
}

impl FromStr for TokenEnvironment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<TokenEnvironment, &'static str> {
        if !is_environment(text) {
            return Err("must be 1 to 12 lower-case letters and digits");
        }
        Ok(TokenEnvironment(text.to_owned()))
    }
}

impl Grant {
    /// Answers every broken rule at once.
    pub(crate) fn parse(
        name: String,
        mut scopes: Vec<String>,
        expires_at: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<Grant, Vec<Violation>> {
        let name_violation = token_name_rule(&name).map(|rule| Violation::new("name", rule));
        let expiry_violation = expiry_rule(expires_at, now).map(|rule| Violation::new("expire_time", rule));
        let violations: Vec<Violation> = name_violation
            .into_iter()
            .chain(scope_violations(&scopes))
            .chain(expiry_violation)
            .collect();
        match expires_at {
            Some(expires_at) if violations.is_empty() => {
                scopes.sort();
                scopes.dedup();
                Ok(Grant {
                    name,
                    scopes,
                    expires_at,
                })
            }
            _ => Err(violations),
        }
    }
}

impl ApiTokenRow {
    pub(crate) fn prefix(&self) -> String {
        api_token_prefix(&self.environment, &self.lookup_id)
    }
}

impl NewSecret {
    pub(crate) fn generate() -> NewSecret {
        NewSecret {
            lookup_id: random_characters(API_TOKEN_ID_CHARACTERS),
            secret: random_characters(API_TOKEN_SECRET_CHARACTERS),
        }
    }

    /// The whole token, for its user and nobody else.
    pub(crate) fn reveal(&self, environment: &TokenEnvironment) -> String {
        ApiToken {
            id: &self.lookup_id,
            secret: &self.secret,
        }
        .write(environment.as_str())
    }

    pub(crate) fn hash(&self) -> Vec<u8> {
        hash(&self.secret)
    }
}

impl fmt::Debug for NewSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("NewSecret").field(&self.lookup_id).finish()
    }
}

/// Whether the secret is the one that was hashed.
pub(crate) fn is_secret(secret: &str, stored_hash: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(&hash(secret), stored_hash).is_ok()
}

fn hash(secret: &str) -> Vec<u8> {
    digest(&SHA256, secret.as_bytes()).as_ref().to_vec()
}

fn random_characters(count: usize) -> String {
    let random = std::iter::repeat_with(random_bytes::<32>).flatten();
    random.filter_map(ApiToken::character).take(count).collect()
}

/// Every scope that a user has, but for those of identity itself.
fn grantable() -> impl Iterator<Item = &'static str> {
    Role::User.scopes().split(' ').filter(|scope| is_api_token_scope(scope))
}

fn scope_violations(scopes: &[String]) -> Vec<Violation> {
    if scopes.is_empty() {
        return vec![Violation::new("scopes", "must not be empty")];
    }
    // Each once is all there can be; no list is worth reading further.
    if scopes.len() > grantable().count() {
        return vec![Violation::new("scopes", "must name each scope once")];
    }
    let unknown = scopes
        .iter()
        .enumerate()
        .filter(|(_, scope)| !grantable().any(|grantable| grantable == scope.as_str()));
    unknown.map(|(index, _)| scope_violation(index)).collect()
}

fn scope_violation(index: usize) -> Violation {
    let known: Vec<&str> = grantable().collect();
    Violation::new(
        format!("scopes[{index}]"),
        format!("must be one of {}", known.join(", ")),
    )
}

fn expiry_rule(expires_at: Option<OffsetDateTime>, now: OffsetDateTime) -> Option<&'static str> {
    match expires_at {
        None => Some("must be there: every token ends"),
        Some(moment) if moment <= now => Some("must be in the future"),
        Some(moment) if moment > now + LIFE_MAX => Some("must be within a year"),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-26 12:00 UTC);

    fn parse(name: &str, scopes: &[&str], life: Duration) -> Result<Grant, Vec<String>> {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Grant::parse(name.to_owned(), scopes, Some(NOW + life), NOW).map_err(|violations| {
            violations
                .into_iter()
                .map(|violation| format!("{} {}", violation.field, violation.description))
                .collect()
        })
    }

    #[test]
    fn scopes_are_kept_in_order_and_once() {
        let grant = parse(
            "a",
            &["tasks:read", "bookmarks:read", "tasks:read"],
            Duration::days(366),
        )
        .unwrap();

        assert_eq!(grant.scopes, ["bookmarks:read", "tasks:read"]);
    }

    #[test]
    fn no_token_has_a_scope_of_identity_or_one_that_users_have_not() {
        for scope in [
            "account:read",
            "account:write",
            "admin",
            "bookmarks:*",
            "",
            "bookmarks:read ",
        ] {
            let violations = parse("a", &["tasks:read", scope], Duration::days(1)).unwrap_err();
            assert!(
                violations[0].starts_with("scopes[1] must be one of bookmarks:read, "),
                "{violations:?}"
            );
            assert!(!violations[0].contains("account"), "{violations:?}");
        }
    }

    #[test]
    fn every_broken_rule_is_named_at_once() {
        let refused = parse("", &[], Duration::ZERO).unwrap_err();
        let too_long = parse("a", &["tasks:read"; 7], Duration::days(366) + Duration::SECOND).unwrap_err();

        assert_eq!(
            refused,
            [
                "name must not be empty",
                "scopes must not be empty",
                "expire_time must be in the future"
            ]
        );
        assert_eq!(
            too_long,
            ["scopes must name each scope once", "expire_time must be within a year"]
        );
        assert!(Grant::parse("a".into(), vec!["tasks:read".into()], None, NOW).is_err());
    }

    #[test]
    fn a_new_token_reads_back_and_only_its_own_secret_proves_it() {
        let environment = TokenEnvironment::from_str("test1").unwrap();
        let (secret, other) = (NewSecret::generate(), NewSecret::generate());
        let token = secret.reveal(&environment);

        let read = ApiToken::parse(&token).unwrap();

        assert_eq!(read.id, secret.lookup_id);
        assert!(is_secret(read.secret, &secret.hash()));
        assert!(!is_secret(read.secret, &other.hash()));
        assert!(!format!("{secret:?}").contains(read.secret));
    }

    #[test]
    fn an_environment_is_a_short_plain_word() {
        for text in ["", "Live", "li-ve", "li_ve", "thirteenchars"] {
            assert!(TokenEnvironment::from_str(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_hardly_any_is_a_token(text in ".{0,80}", tail in "[0-9A-Za-z]{50}") {
            let (begun, guessed) = (format!("bmk_live_{text}"), format!("bmk_live_{tail}"));
            for text in [text, begun, guessed] {
                prop_assert!(ApiToken::parse(&text).is_none());
            }
        }
    }
}
