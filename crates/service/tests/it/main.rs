//! Through the port: a server of three small services, and the smallest service as a process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api_tokens;
mod app;
mod calls;
mod database;
mod discovery;
mod figures;
mod policies;
mod processes;
mod refresh;
mod stopping;
mod tokens;
mod traces;
