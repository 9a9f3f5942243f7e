//! The stack, on the real servers.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics; clippy knows only the test functions themselves"
)]

mod databases;
mod faults;
mod lifetime;
