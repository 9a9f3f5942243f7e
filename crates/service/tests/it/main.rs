//! Through the port: a server of three small services, and the smallest service as a process.

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
