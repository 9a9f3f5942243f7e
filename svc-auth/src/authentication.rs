//! How and when a user has shown who they are: kept by the session, told by its access tokens. Pure.

use time::OffsetDateTime;

/// Among the methods when it was more than one factor.
pub(crate) const MULTIPLE_FACTORS: &str = "mfa";
/// A code of an app or a recovery code: both are of one use.
pub(crate) const ONE_TIME_CODE: &str = "otp";
const PASSWORD: &str = "pwd";

/// When and how the user of a session was last recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authentication {
    pub at: OffsetDateTime,
    /// As RFC 8176 names them.
    pub methods: Vec<String>,
}

impl Authentication {
    pub(crate) fn by_password(at: OffsetDateTime) -> Authentication {
        Authentication {
            at,
            methods: vec![PASSWORD.to_owned()],
        }
    }

    /// What was shown already and a second factor, by now.
    pub(crate) fn and(mut self, method: &str, at: OffsetDateTime) -> Authentication {
        self.methods.extend([method, MULTIPLE_FACTORS].map(str::to_owned));
        Authentication { at, ..self }
    }
}
