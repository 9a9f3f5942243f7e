//! The audit log: what is noted of each security event, and the chain that makes a change of the past visible. Pure.

use aws_lc_rs::{constant_time, hmac};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{master_key::MasterKey, origin::Origin};

pub(crate) const HASH_BYTES: usize = 32;
/// What the first event is chained to.
pub(crate) const GENESIS: [u8; HASH_BYTES] = [0; HASH_BYTES];

/// What was done or tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    UserRegistered,
    LogIn,
    RefreshTokenReused,
    LogOut,
    SessionEnded,
    OtherSessionsEnded,
    PasswordChanged,
    ApiTokenCreated,
    ApiTokenRevoked,
    LogInChallenged,
    SteppedUp,
    TotpEnrolled,
    TotpRemoved,
    RecoveryCodesCreated,
    RecoveryCodeUsed,
    PasskeyAdded,
    PasskeyRenamed,
    PasskeyRemoved,
    PasskeyRegressed,
    UserDeleted,
    UserDataDeleted,
    DeletionsListed,
    AuditEventsExported,
    UsersListed,
    UserViewed,
    UserDisabled,
    UserEnabled,
    PasswordResetForced,
    UserRoleChanged,
    UserSessionsListed,
    UserSessionsEnded,
    UserAuditEventsListed,
    EmailConfirmed,
    EmailConfirmationRequested,
    PasswordResetRequested,
    PasswordReset,
    EmailChangeRequested,
    EmailChanged,
    EmailChangeUndone,
    InvitationCreated,
    InvitationWithdrawn,
    IdentityUsed,
    IdentityLinked,
    IdentityUnlinked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    Refused,
    /// Refused unseen, because too many attempts had failed.
    Throttled,
}

/// Who, from where, what, how it ended. No field has room for a secret.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub id: Uuid,
    /// Nobody when a log-in named no account.
    pub user_id: Option<Uuid>,
    /// The session that did it, or that was opened.
    pub session_id: Option<Uuid>,
    /// The session, API token, passkey, linked account, invitation or user that it was done to.
    pub object_id: Option<Uuid>,
    pub action: Action,
    pub outcome: Outcome,
    pub origin: Origin,
    pub at: OffsetDateTime,
}

/// An event in its place.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub sequence: i64,
    pub id: Uuid,
    pub user_id: Option<Uuid>,
    pub session_id: Option<Uuid>,
    pub object_id: Option<Uuid>,
    pub action: String,
    pub outcome: String,
    pub address: String,
    pub user_agent: String,
    pub created_at: OffsetDateTime,
}

/// The key of the log. Whoever has the database alone cannot forge a link.
pub(crate) struct AuditKey(hmac::Key);

impl AuditKey {
    pub(crate) fn new(master_key: &MasterKey) -> AuditKey {
        AuditKey(master_key.hmac_key("chain audit events"))
    }

    /// The hash of a link that follows one with the hash `previous`.
    pub(crate) fn hash(&self, previous: &[u8], link: &Link) -> [u8; HASH_BYTES] {
        let mut chained = hmac::Context::with_key(&self.0);
        let mut add = |bytes: &[u8]| {
            // Lengths are covered too, so that no byte moves from one field to the next.
            chained.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            chained.update(bytes);
        };
        add(previous);
        add(&link.sequence.to_be_bytes());
        add(link.id.as_bytes());
        add(link.user_id.as_ref().map_or(&[], |id| id.as_bytes().as_slice()));
        add(link.session_id.as_ref().map_or(&[], |id| id.as_bytes().as_slice()));
        add(link.object_id.as_ref().map_or(&[], |id| id.as_bytes().as_slice()));
        add(link.action.as_bytes());
        add(link.outcome.as_bytes());
        add(link.address.as_bytes());
        add(link.user_agent.as_bytes());
        add(&microseconds(link.created_at).to_be_bytes());
        let mut hash = GENESIS;
        hash.copy_from_slice(chained.sign().as_ref());
        hash
    }

    pub(crate) fn follows(&self, previous: &[u8], link: &Link, hash: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.hash(previous, link), hash).is_ok()
    }
}

impl Event {
    /// Something that a user did or that was done to them, or to nobody who is known.
    pub(crate) fn new(
        user_id: Option<Uuid>,
        action: Action,
        outcome: Outcome,
        origin: &Origin,
        at: OffsetDateTime,
    ) -> Event {
        Event {
            id: service::id::generate(),
            user_id,
            session_id: None,
            object_id: None,
            action,
            outcome,
            origin: origin.clone(),
            at,
        }
    }

    pub(crate) fn by_session(self, session_id: Uuid) -> Event {
        Event {
            session_id: Some(session_id),
            ..self
        }
    }

    pub(crate) fn refused(self) -> Event {
        Event {
            outcome: Outcome::Refused,
            ..self
        }
    }

    /// Something else that the same one did in the same moment.
    pub(crate) fn another(&self, action: Action) -> Event {
        Event {
            id: service::id::generate(),
            action,
            ..self.clone()
        }
    }

    pub(crate) fn throttled(self) -> Event {
        Event {
            outcome: Outcome::Throttled,
            ..self
        }
    }

    pub(crate) fn done_to(self, object_id: Uuid) -> Event {
        Event {
            object_id: Some(object_id),
            ..self
        }
    }

    pub(crate) fn into_link(self, sequence: i64) -> Link {
        Link {
            sequence,
            id: self.id,
            user_id: self.user_id,
            session_id: self.session_id,
            object_id: self.object_id,
            action: self.action.as_str().to_owned(),
            outcome: self.outcome.as_str().to_owned(),
            address: self.origin.address_text(),
            user_agent: self.origin.user_agent,
            created_at: self.at,
        }
    }
}

impl Action {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Action::UserRegistered => "USER_REGISTERED",
            Action::LogIn => "LOG_IN",
            Action::RefreshTokenReused => "REFRESH_TOKEN_REUSED",
            Action::LogOut => "LOG_OUT",
            Action::SessionEnded => "SESSION_ENDED",
            Action::OtherSessionsEnded => "OTHER_SESSIONS_ENDED",
            Action::PasswordChanged => "PASSWORD_CHANGED",
            Action::ApiTokenCreated => "API_TOKEN_CREATED",
            Action::ApiTokenRevoked => "API_TOKEN_REVOKED",
            Action::LogInChallenged => "LOG_IN_CHALLENGED",
            Action::SteppedUp => "STEPPED_UP",
            Action::TotpEnrolled => "TOTP_ENROLLED",
            Action::TotpRemoved => "TOTP_REMOVED",
            Action::RecoveryCodesCreated => "RECOVERY_CODES_CREATED",
            Action::RecoveryCodeUsed => "RECOVERY_CODE_USED",
            Action::PasskeyAdded => "PASSKEY_ADDED",
            Action::PasskeyRenamed => "PASSKEY_RENAMED",
            Action::PasskeyRemoved => "PASSKEY_REMOVED",
            Action::PasskeyRegressed => "PASSKEY_REGRESSED",
            Action::UserDeleted => "USER_DELETED",
            Action::UserDataDeleted => "USER_DATA_DELETED",
            Action::DeletionsListed => "DELETIONS_LISTED",
            Action::AuditEventsExported => "AUDIT_EVENTS_EXPORTED",
            Action::UsersListed => "USERS_LISTED",
            Action::UserViewed => "USER_VIEWED",
            Action::UserDisabled => "USER_DISABLED",
            Action::UserEnabled => "USER_ENABLED",
            Action::PasswordResetForced => "PASSWORD_RESET_FORCED",
            Action::UserRoleChanged => "USER_ROLE_CHANGED",
            Action::UserSessionsListed => "USER_SESSIONS_LISTED",
            Action::UserSessionsEnded => "USER_SESSIONS_ENDED",
            Action::UserAuditEventsListed => "USER_AUDIT_EVENTS_LISTED",
            Action::EmailConfirmed => "EMAIL_CONFIRMED",
            Action::EmailConfirmationRequested => "EMAIL_CONFIRMATION_REQUESTED",
            Action::PasswordResetRequested => "PASSWORD_RESET_REQUESTED",
            Action::PasswordReset => "PASSWORD_RESET",
            Action::EmailChangeRequested => "EMAIL_CHANGE_REQUESTED",
            Action::EmailChanged => "EMAIL_CHANGED",
            Action::EmailChangeUndone => "EMAIL_CHANGE_UNDONE",
            Action::InvitationCreated => "INVITATION_CREATED",
            Action::InvitationWithdrawn => "INVITATION_WITHDRAWN",
            Action::IdentityUsed => "IDENTITY_USED",
            Action::IdentityLinked => "IDENTITY_LINKED",
            Action::IdentityUnlinked => "IDENTITY_UNLINKED",
        }
    }
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Outcome::Succeeded => "SUCCEEDED",
            Outcome::Refused => "REFUSED",
            Outcome::Throttled => "THROTTLED",
        }
    }
}

/// As exact as Postgres keeps a moment.
fn microseconds(moment: OffsetDateTime) -> i128 {
    moment.unix_timestamp_nanos().div_euclid(1_000)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use time::macros::datetime;

    use super::*;

    fn key(fill: u8) -> AuditKey {
        AuditKey::new(&MasterKey::parse(&BASE64_STANDARD.encode([fill; 32])).unwrap())
    }

    fn link() -> Link {
        let at = datetime!(2026-11-25 12:00:00.000001 UTC);
        let origin = Origin {
            address: "203.0.113.7".parse().ok(),
            user_agent: "curl/8".to_owned(),
        };
        let event = Event::new(Some(Uuid::from_u128(1)), Action::LogIn, Outcome::Succeeded, &origin, at);
        let event = event.by_session(Uuid::from_u128(2)).done_to(Uuid::from_u128(3));
        Event {
            id: Uuid::from_u128(4),
            ..event
        }
        .into_link(7)
    }

    #[test]
    fn every_field_counts_and_so_does_what_came_before() {
        let original = link();
        let hash = key(1).hash(&GENESIS, &original);
        let changed = |change: fn(&mut Link)| {
            let mut link = original.clone();
            change(&mut link);
            link
        };

        assert!(key(1).follows(&GENESIS, &original, &hash));
        assert!(!key(1).follows(&[1; 32], &original, &hash));
        assert!(!key(2).follows(&GENESIS, &original, &hash), "the key counts");
        for other in [
            changed(|link| link.sequence += 1),
            changed(|link| link.id = Uuid::from_u128(9)),
            changed(|link| link.user_id = None),
            changed(|link| link.session_id = None),
            changed(|link| link.object_id = None),
            changed(|link| std::mem::swap(&mut link.session_id, &mut link.object_id)),
            changed(|link| link.action.push('!')),
            changed(|link| link.outcome = "REFUSED".to_owned()),
            changed(|link| link.address.clear()),
            changed(|link| link.user_agent.push('!')),
            changed(|link| link.created_at += time::Duration::microseconds(1)),
            changed(|link| {
                link.user_agent = format!("7{}", link.user_agent);
                link.address.pop();
            }),
        ] {
            assert!(!key(1).follows(&GENESIS, &other, &hash), "{other:?}");
        }
    }

    #[test]
    fn what_postgres_rounds_off_does_not_count() {
        let mut finer = link();
        finer.created_at += time::Duration::nanoseconds(999);

        assert_eq!(key(1).hash(&GENESIS, &finer), key(1).hash(&GENESIS, &link()));
    }
}
