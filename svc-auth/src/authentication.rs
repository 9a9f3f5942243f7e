//! How and when a user has shown who they are: kept by the session, told by its access tokens. Pure.

use time::OffsetDateTime;

/// Among the methods when it was more than one factor.
pub(crate) const MULTIPLE_FACTORS: &str = "mfa";
/// A code of an app or a recovery code: both are of one use.
pub(crate) const ONE_TIME_CODE: &str = "otp";
/// A key that a device keeps (OpenID Connect EAP): what no other site can ask for.
pub(crate) const POSSESSION: &str = "pop";
const PASSWORD: &str = "pwd";
/// The device asked for a finger, a face or a PIN.
const USER_VERIFIED: &str = "user";
/// RFC 8176 has no name for it.
const PROVIDER: &str = "oidc";

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

    /// Both factors at once: the device is had, and it knows its user.
    pub(crate) fn by_passkey(at: OffsetDateTime) -> Authentication {
        Authentication {
            at,
            methods: [POSSESSION, USER_VERIFIED, MULTIPLE_FACTORS]
                .map(str::to_owned)
                .to_vec(),
        }
    }

    /// By the word of a provider.
    pub(crate) fn by_provider(at: OffsetDateTime) -> Authentication {
        Authentication {
            at,
            methods: vec![PROVIDER.to_owned()],
        }
    }

    /// What was shown already and a second factor, by now.
    pub(crate) fn and(mut self, method: &str, at: OffsetDateTime) -> Authentication {
        self.methods.extend([method, MULTIPLE_FACTORS].map(str::to_owned));
        Authentication { at, ..self }
    }
}
