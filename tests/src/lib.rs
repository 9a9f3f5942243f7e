//! What the tests and the benchmarks share: a client of the REST API, a maker of browser exports, load and its report.

mod client;
mod export;
pub mod load;
pub mod report;
mod usage;

pub use client::{Answer, Client, PASSWORD};
pub use export::{Export, ExportShape};
pub use usage::{Usage, usage};

/// A file for `EDGE_SETTINGS` whose limits no load on one machine reaches.
pub const GENEROUS_SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/generous.toml");

/// Starts the whole platform from the binaries beside the running test, in a folder that goes with it.
///
/// # Errors
/// When a store or a process does not start; `make test` builds the binaries first, plain `cargo test` does not.
pub async fn start_platform() -> anyhow::Result<devstack::platform::Platform> {
    start_platform_with(&[]).await
}

/// Like [`start_platform`], with variables for every process.
///
/// # Errors
/// The same.
pub async fn start_platform_with(environment: &[(&str, &str)]) -> anyhow::Result<devstack::platform::Platform> {
    let binaries = devstack::platform::binaries_beside_this_test()?;
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    devstack::platform::Platform::start_temporary(&binaries, environment.iter().map(owned).collect()).await
}
