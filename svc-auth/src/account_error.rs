//! What can go wrong with the mailbox of an account, and with coming in.

use std::time::Duration;

use service::status;
use tonic::{Code, Status};

use crate::error::{refused_field, retry_later};

/// By then the oldest mail counts no more.
const MAILS_RETRY: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("this token is none that was mailed for this, was used or withdrawn, or has expired")]
    MailTokenInvalid,
    #[error("the address has not been confirmed yet")]
    EmailNotConfirmed,
    #[error("this address has had too many mails within an hour")]
    TooManyMails,
    #[error("nobody can make an account here by themselves")]
    RegistrationClosed,
    #[error("an account takes an invitation to its address that has not been used")]
    InvitationInvalid,
    #[error("this user may not invite")]
    InvitingNotAllowed,
    #[error("invitation not found")]
    InvitationNotFound,
}

impl From<AccountError> for Status {
    fn from(error: AccountError) -> Status {
        let message = error.to_string();
        let forbidden = |reason| status::with_reason(Code::PermissionDenied, reason, message.as_str(), &[]);
        match error {
            AccountError::MailTokenInvalid => {
                refused_field("MAIL_TOKEN_INVALID", &message, "token", "must be one that counts")
            }
            AccountError::EmailNotConfirmed => forbidden("EMAIL_NOT_CONFIRMED"),
            AccountError::TooManyMails => retry_later(Code::ResourceExhausted, "TOO_MANY_MAILS", &message, MAILS_RETRY),
            AccountError::RegistrationClosed => forbidden("REGISTRATION_CLOSED"),
            AccountError::InvitationInvalid => {
                let rule = "must be of an invitation to this address";
                refused_field("INVITATION_INVALID", &message, "invitation_token", rule)
            }
            AccountError::InvitingNotAllowed => forbidden("INVITING_NOT_ALLOWED"),
            AccountError::InvitationNotFound => status::not_found("invitation"),
        }
    }
}
