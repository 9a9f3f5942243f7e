//! What the tests and the benchmark of the whole platform share: a client of the REST API and a maker of browser exports.

mod client;
mod export;

pub use client::{Answer, Client};
pub use export::{Export, ExportShape};

/// Starts the whole platform from the binaries beside the running test, in a folder that goes with it.
///
/// # Errors
/// When a store or a process does not start; `make test` builds the binaries first, plain `cargo test` does not.
pub async fn start_platform() -> anyhow::Result<devstack::platform::Platform> {
    let binaries = devstack::platform::binaries_beside_this_test()?;
    devstack::platform::Platform::start_temporary(&binaries, Vec::new()).await
}
