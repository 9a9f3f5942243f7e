//! svc-auth through its port, on real Postgres and Redis.

#![expect(clippy::unwrap_used, reason = "what cannot be arranged fails the test")]

mod admin;
mod api_tokens;
mod app;
mod audit;
mod authenticator;
mod challenges;
mod confirmations;
mod deletion;
mod email_changes;
mod endings;
mod flood;
mod invitations;
mod isolation;
mod mailbox;
mod mails;
mod oidc;
mod overtaken;
mod own_sessions;
mod passkeys;
mod passwords;
mod process;
mod redis;
mod refresh;
mod resets;
mod second_factors;
mod sessions;
mod standing;
mod stepping_up;
mod throttling;
mod tokens;
mod users;
