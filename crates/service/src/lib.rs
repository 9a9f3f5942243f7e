//! What every process does the same way: configuration, telemetry, health, the gRPC server and client stacks, caller
//! identity, and a graceful stop. Start reading at [`process::main`] and [`Service`].

mod admin;
pub mod caller;
pub mod check;
pub mod client;
pub mod clock;
pub mod config;
pub mod id;
pub mod identity;
pub mod metrics;
pub mod page;
mod policy;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod process;
mod routes;
mod rpc;
mod running;
pub mod status;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod trace;

pub use routes::Routes;
pub use running::Service;
