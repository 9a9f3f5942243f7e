//! Private PostgreSQL, Redis and NATS servers, and the six processes on top: for `make up` and for the tests.
//!
//! In the order in which you meet them: [`install`] brings missing servers to the machine, [`Devstack`] starts the three
//! in a folder, [`create_schema`] lays out what one service owns in Postgres, [`shared`] and [`fresh_database`] are what
//! tests use. Every server runs under a small shell that ends it when this process is gone, however it went.

mod binaries;
mod database;
mod install;
pub mod keys;
pub mod leftovers;
mod nats;
pub mod platform;
mod ports;
mod postgres;
mod process;
mod ready;
mod redis;
mod server;
mod shared;
mod stack;
mod temporary;

pub use database::{TestDatabase, create_database, create_schema, fresh_database};
pub use install::{install, install_program};
pub use ports::{Ports, free_port, is_free};
pub use shared::shared;
pub use stack::{Devstack, Keep};
