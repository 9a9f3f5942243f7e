//! Who may make an account, and whether its address has to be confirmed first.

use std::str::FromStr;

/// `AUTH_REGISTRATION`: who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registering {
    Open,
    /// Whoever has an invitation.
    Invite,
    Closed,
}

/// `AUTH_EMAIL_CONFIRMATION`: whether a log-in takes a confirmed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmailConfirmation {
    Optional,
    /// Then registering tells nobody who has an account.
    Required,
}

impl EmailConfirmation {
    pub(crate) fn is_required(self) -> bool {
        self == EmailConfirmation::Required
    }
}

impl FromStr for Registering {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Registering, &'static str> {
        match text {
            "open" => Ok(Registering::Open),
            "invite" => Ok(Registering::Invite),
            "closed" => Ok(Registering::Closed),
            _ => Err("must be open, invite or closed"),
        }
    }
}

impl FromStr for EmailConfirmation {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<EmailConfirmation, &'static str> {
        match text {
            "optional" => Ok(EmailConfirmation::Optional),
            "required" => Ok(EmailConfirmation::Required),
            _ => Err("must be optional or required"),
        }
    }
}
