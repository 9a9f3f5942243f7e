//! The stack, on the real servers.

mod databases;
mod faults;
mod lifetime;
